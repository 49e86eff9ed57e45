"""Event Streams: batches of CloudEvents about messages of many threads, for those who subscribe to them.

https://www.twilio.com/docs/events/webhook-quickstart, https://www.twilio.com/docs/events/event-types/messaging
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from connectors._shared.bodies import body_of
from connectors._shared.reading import each, read
from connectors._shared.sms.fields import Fields, plain_fields
from connectors.twilio.calls import time_of
from connectors.twilio.contents import attributes_of, content_of
from connectors.twilio.messages import delivery
from connectors.twilio.places import party_at, place_of_message, place_of_status
from omnibus.channel.events import AnyEvent, Message, Party
from omnibus.errors import InvalidPayload
from omnibus.model.content import Unsupported
from omnibus.model.raw import RawEvent

RECEIVED = "com.twilio.messaging.inbound-message.received"
STATUS = "com.twilio.messaging.message."
NOWHERE = "events"
"""The thread of events that are about no message."""

MAX_EVENTS = 10_000


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent. https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md"""

    type: str
    id: str | None = None
    data: dict[str, Any] = {}


def stream_events(raw: RawEvent) -> Iterator[AnyEvent]:
    """Every event of a batch."""
    return each(enumerate(_parts(raw)), lambda part: (_mapped(raw, *part),))


def stream_threads(raw: RawEvent) -> Sequence[str]:
    """The threads of a batch; events that cannot be read have none."""
    found: dict[str, None] = {}
    for part in enumerate(_parts(raw)):
        try:
            found[_mapped(raw, *part).thread] = None
        except InvalidPayload:
            continue
    return tuple(found)


def _parts(raw: RawEvent) -> list[msgspec.Raw]:
    body = body_of(raw)
    parts = read(body, list[msgspec.Raw]) if body.lstrip()[:1] == b"[" else [msgspec.Raw(body)]
    if len(parts) > MAX_EVENTS:
        raise InvalidPayload("body", f"more than {MAX_EVENTS} events")
    return parts


def _mapped(raw: RawEvent, index: int, part: msgspec.Raw) -> AnyEvent:
    event = read(part, StreamEvent, f"body[{index}]")
    given = plain_fields(event.data)
    fields = Fields({}, {name[:1].upper() + name[1:]: value for name, value in given.items()})
    if event.type == RECEIVED:
        return _received(raw, fields)
    if event.type.startswith(STATUS):
        status = event.type.removeprefix(STATUS)
        return delivery(fields, status, place_of_status(fields), time_of(fields.get("Timestamp"), raw))
    return _unknown(raw, event)


def _received(raw: RawEvent, fields: Fields) -> Message:
    """Files are only counted here; the request to the messaging address brings them."""
    place = place_of_message(fields)
    return Message(
        thread=place.thread,
        at=time_of(fields.get("Timestamp"), raw),
        native_id=fields.get("MessageSid"),
        sender=party_at(place.theirs),
        content=content_of(fields, ()),
        attributes=attributes_of(fields),
    )


def _unknown(raw: RawEvent, event: StreamEvent) -> Message:
    return Message(
        thread=NOWHERE,
        at=raw.received_at,
        native_id=(event.id or "")[:200] or None,
        sender=Party(scheme="opaque", value="twilio", is_bot=True),
        content=Unsupported(native_type=event.type[:200]),
        auto_submitted="auto_generated",
    )
