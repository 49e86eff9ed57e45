"""The SMS API: text messages, their parts, and delivery receipts.

https://developer.vonage.com/messaging/sms/guides/inbound-sms, .../concatenation-and-encoding, .../delivery-receipts
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from connectors._shared.reading import identifier
from connectors._shared.sms.fields import Fields
from connectors._shared.sms.numbers import party_of
from connectors._shared.sms.parts import fragment_of, number_of
from connectors._shared.sms.times import time_or
from connectors.vonage.errors import reason_of_receipt
from connectors.vonage.places import thread_on
from omnibus.channel.events import Delivery, Fragment, Message
from omnibus.errors import InvalidPayload
from omnibus.model.base import MessageStatus
from omnibus.model.content import Content, Text, Unsupported
from omnibus.model.entities import FailureReason
from omnibus.model.raw import RawEvent

STATUSES: Mapping[str, MessageStatus] = {
    "accepted": "sent",
    "buffered": "sent",
    "delivered": "delivered",
    "expired": "failed",
    "failed": "failed",
    "rejected": "failed",
    "unknown": "failed",
}


def is_receipt(fields: Fields) -> bool:
    """Whether this is a delivery receipt, which has a status, and a message has not."""
    return fields.get("status") is not None


def thread_of_sms(fields: Fields) -> str:
    """Our number is `to`, theirs `msisdn`, in messages and in receipts."""
    return thread_on("sms", fields.get("to"), fields.get("msisdn"))


def inbound_sms(raw: RawEvent, fields: Fields) -> Message:
    """A message, or a part of one: each part has an id of its own, and its place."""
    content = _content(fields)
    return Message(
        thread=thread_of_sms(fields),
        at=time_or(fields.get("message-timestamp"), raw.received_at),
        native_id=identifier(fields.get("messageId"), "messageId"),
        sender=party_of(fields.text("msisdn")),
        content=content,
        fragment=_fragment(fields) if isinstance(content, Text) else None,
    )


def receipt(raw: RawEvent, fields: Fields) -> Delivery:
    """How far a message came that was sent by the SMS API."""
    native = fields.text("status")
    status = STATUSES.get(native)
    if status is None:
        raise InvalidPayload("status", f"expected a status of a message, got {native[:40]!r}")
    return Delivery(
        thread=thread_of_sms(fields),
        at=time_or(fields.get("message-timestamp"), raw.received_at),
        target=identifier(fields.get("messageId"), "messageId"),
        status=status,
        reason=_reason(native, fields.get("err-code")) if status == "failed" else None,
        recipient=party_of(fields.text("msisdn")).value,
    )


def _reason(native: str, code: str | None) -> FailureReason:
    """A message that ran out of time failed for that, whatever held it up last."""
    reason = reason_of_receipt(code)
    return reason if native != "expired" else msgspec.structs.replace(reason, code="DELIVERY_TIMED_OUT")


def _content(fields: Fields) -> Content:
    text = fields.get("text")
    if fields.get("type") == "binary" or text is None:
        return Unsupported(native_type=(fields.get("type") or "sms")[:100])
    return Text(text=text)


def _fragment(fields: Fields) -> Fragment | None:
    if fields.get("concat") != "true":
        return None
    number, total = number_of(fields.get("concat-part")), number_of(fields.get("concat-total"))
    return fragment_of(fields.text("concat-ref"), number, total)
