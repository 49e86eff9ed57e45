"""A request of Twilio as events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from connectors._shared.bodies import looks_like_json
from connectors._shared.sms.fields import Fields, fields_of
from connectors.twilio.calls import call, live_transcription, recording, transcription
from connectors.twilio.kinds import Kind, kind_of
from connectors.twilio.messages import message, status
from connectors.twilio.places import Place, place_of_call, place_of_message, place_of_status
from connectors.twilio.stream import NOWHERE, stream_events, stream_threads
from omnibus.channel.events import AnyEvent, Message, Party
from omnibus.errors import InvalidPayload
from omnibus.model.content import Unsupported
from omnibus.model.raw import RawEvent

MAX_NAMES_CHARS = 300


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """Every event of the request. Raises InvalidPayload."""
    if looks_like_json(raw.body):
        return stream_events(raw)
    fields = fields_of(raw)
    return BUILDERS[kind_of(fields)](raw, fields)


def threads(raw: RawEvent) -> Sequence[str]:
    """The threads in the request: one, but for batches of Event Streams."""
    if looks_like_json(raw.body):
        return stream_threads(raw)
    fields = fields_of(raw)
    kind = kind_of(fields)
    return (NOWHERE,) if kind == "unknown" else (PLACES[kind](fields).thread,)


def unknown(raw: RawEvent, fields: Fields) -> Iterator[AnyEvent]:
    """A request of a kind we do not map: never dropped."""
    names = " ".join(fields.names())
    if not names:
        raise InvalidPayload("body", "nothing in it")
    yield Message(
        thread=NOWHERE,
        at=raw.received_at,
        sender=Party(scheme="opaque", value="twilio", is_bot=True),
        content=Unsupported(native_type="request", summary=names[:MAX_NAMES_CHARS]),
        auto_submitted="auto_generated",
    )


BUILDERS: Mapping[Kind, Callable[[RawEvent, Fields], Iterator[AnyEvent]]] = {
    "message": message,
    "status": status,
    "call": call,
    "recording": recording,
    "transcription": transcription,
    "live_transcription": live_transcription,
    "unknown": unknown,
}

PLACES: Mapping[Kind, Callable[[Fields], Place]] = {
    "message": place_of_message,
    "status": place_of_status,
    "call": place_of_call,
    "recording": place_of_call,
    "transcription": place_of_call,
    "live_transcription": place_of_call,
}
