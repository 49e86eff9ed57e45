"""Text messages: what people write, and how far ours came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from connectors._shared.reading import identifier
from connectors._shared.sms.fields import Fields
from connectors.twilio.contents import attributes_of, content_of, media_of, referral_of
from connectors.twilio.errors import reason_of
from connectors.twilio.places import Place, party_at, place_of_message, place_of_status
from omnibus.channel.events import AnyEvent, Delivery, Message
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

STATUSES = {  # https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
    "accepted": "queued",
    "scheduled": "queued",
    "queued": "queued",
    "sending": "queued",
    "sent": "sent",
    "delivered": "delivered",
    "partially_delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}


def message(raw: RawEvent, fields: Fields) -> Iterator[AnyEvent]:
    """Somebody wrote. Twilio does not say when, so it is when we heard of it; long messages come in one piece."""
    place = place_of_message(fields)
    files = media_of(fields)
    yield Message(
        thread=place.thread,
        at=raw.received_at,
        native_id=identifier(fields.get("MessageSid"), "MessageSid"),
        sender=party_at(place.theirs, fields.get("ProfileName") or None),
        content=content_of(fields, files),
        attachments=files,
        in_reply_to=fields.get("OriginalRepliedMessageSid") or None,
        referral=referral_of(fields),
        attributes=attributes_of(fields),
    )


def status(raw: RawEvent, fields: Fields) -> Iterator[AnyEvent]:
    """A status callback of a message we sent."""
    yield delivery(fields, fields.text("MessageStatus"), place_of_status(fields), raw.received_at)


def delivery(fields: Fields, native: str, place: Place, at: datetime) -> Delivery:
    """How far the message came. Raises InvalidPayload for a status that is none."""
    known = STATUSES.get(native)
    if known is None:
        raise InvalidPayload("MessageStatus", f"expected a status of a message, got {native[:40]!r}")
    return Delivery(
        thread=place.thread,
        at=at,
        target=identifier(fields.get("MessageSid"), "MessageSid"),
        status=known,
        reason=reason_of(fields.get("ErrorCode")) if known == "failed" else None,
        recipient=party_at(place.theirs).value,
    )
