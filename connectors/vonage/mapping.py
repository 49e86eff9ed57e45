"""A request of Vonage as events. Both of its APIs may come to the same address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from connectors._shared.bodies import body_of, looks_like_json
from connectors._shared.reading import identifier, read
from connectors._shared.sms.fields import Fields, fields_of
from connectors._shared.sms.times import time_or
from connectors.vonage.contents import said_in
from connectors.vonage.errors import code_in, reason_of_message
from connectors.vonage.payloads import Notice
from connectors.vonage.places import MAX_THREAD_CHARS, person_at, thread_on
from connectors.vonage.sms import inbound_sms, is_receipt, receipt, thread_of_sms
from omnibus.channel.events import AnyEvent, Delivery, Message, Reaction
from omnibus.errors import InvalidPayload
from omnibus.model.base import MessageStatus
from omnibus.model.entities import Referral
from omnibus.model.raw import RawEvent

STATUSES: Mapping[str, MessageStatus] = {  # https://developer.vonage.com/en/messages/concepts/messages-status-callbacks
    "submitted": "sent",
    "delivered": "delivered",
    "read": "read",
    "rejected": "failed",
    "undeliverable": "failed",
}
MAX_VALUE_CHARS = 400


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """The event of the request. Raises InvalidPayload."""
    notice = _notice(raw)
    if notice is None:
        fields = _sms_fields(raw)
        return iter((receipt(raw, fields) if is_receipt(fields) else inbound_sms(raw, fields),))
    if notice.status is not None:
        return iter((_status(raw, notice, notice.status),))
    return iter((_inbound(raw, notice),))


def threads(raw: RawEvent) -> Sequence[str]:
    """The thread of the request."""
    notice = _notice(raw)
    return (thread_of_sms(_sms_fields(raw)) if notice is None else _thread(notice),)


def _notice(raw: RawEvent) -> Notice | None:
    """What the Messages API says; None for a request of the SMS API."""
    if not looks_like_json(raw.body):
        return None
    body = body_of(raw)
    return read(body, Notice) if b'"message_uuid"' in body else None


def _sms_fields(raw: RawEvent) -> Fields:
    """The fields of the body, or of the query where there is none: what was signed, and nothing beside it."""
    return fields_of(msgspec.structs.replace(raw, query=()) if raw.body and raw.query else raw)


def _thread(notice: Notice) -> str:
    if notice.status is None:
        return thread_on(notice.channel, notice.to, notice.sender)
    # We give each message its thread as its reference, because Vonage may choose another sender.
    if notice.client_ref and "/" in notice.client_ref and len(notice.client_ref) <= MAX_THREAD_CHARS:
        return notice.client_ref
    return thread_on(notice.channel, notice.sender, notice.to)


def _inbound(raw: RawEvent, notice: Notice) -> AnyEvent:
    native_id = identifier(notice.message_uuid, "message_uuid")
    at = time_or(notice.timestamp, raw.received_at)
    name = None if notice.profile is None else notice.profile.name or None
    sender = person_at(notice.channel, notice.sender or "", name)
    answered = None if notice.context is None else notice.context.message_uuid or None
    if notice.message_type == "reaction" and notice.reaction is not None and answered is not None:
        return Reaction(
            thread=_thread(notice),
            at=at,
            native_id=native_id,
            target=answered,
            reaction=notice.reaction.emoji or "",
            removed=notice.reaction.action == "unreact",
            sender=sender,
        )
    content, files = said_in(notice)
    return Message(
        thread=_thread(notice),
        at=at,
        native_id=native_id,
        sender=sender,
        content=content,
        attachments=files,
        in_reply_to=answered,
        referral=_referral(notice),
        attributes={} if notice.channel == "sms" else {"channel": notice.channel[:40]},
    )


def _referral(notice: Notice) -> Referral | None:
    found = None if notice.whatsapp is None else notice.whatsapp.referral
    if found is None:
        return None
    return Referral(
        source="whatsapp",
        type=(found.source_type or "")[:MAX_VALUE_CHARS] or None,
        ad_id=(found.source_id or "")[:MAX_VALUE_CHARS] or None,
        url=(found.source_url or "")[:MAX_VALUE_CHARS] or None,
    )


def _status(raw: RawEvent, notice: Notice, native: str) -> Delivery:
    status = STATUSES.get(native)
    if status is None:
        raise InvalidPayload("status", f"expected a status of a message, got {native[:40]!r}")
    return Delivery(
        thread=_thread(notice),
        at=time_or(notice.timestamp, raw.received_at),
        target=identifier(notice.message_uuid, "message_uuid"),
        status=status,
        reason=reason_of_message(_code(notice)) if status == "failed" else None,
        recipient=person_at(notice.channel, notice.to, None).value if notice.to else None,
    )


def _code(notice: Notice) -> str | None:
    if notice.error is None:
        return None
    title = notice.error.title
    return code_in(notice.error.type) or (None if title is None else code_in(f"#{title}"))
