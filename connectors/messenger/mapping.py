"""Webhooks of a page in our words: direct messages, and what happens in the page's feed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors._shared.meta.direct import mapping as direct
from connectors._shared.meta.direct.payload import Entry, Envelope
from connectors._shared.meta.reading import is_for
from connectors._shared.reading import each, read, threads_of
from connectors.messenger import feed
from omnibus.channel.events import AnyEvent
from omnibus.channel.receive import Request
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

OBJECT = "page"


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """Every event of the request that this copy of it is for. Raises InvalidPayload, after what can be read."""
    yield from each(_envelope(raw.body).entry, lambda entry: _entry(raw, entry))


def threads(raw: RawEvent) -> Sequence[str]:
    """The conversations a request belongs to. Raises InvalidPayload."""
    return threads_of(map_event(raw))


def addresses(request: Request) -> Sequence[str]:
    """The pages a request speaks of; none when it cannot be read."""
    try:
        return [str(entry.id) for entry in _envelope(request.body).entry]
    except InvalidPayload:
        return ()


def _envelope(body: bytes) -> Envelope:
    envelope = read(body, Envelope)
    if envelope.object != OBJECT:
        raise InvalidPayload("object", f"expected {OBJECT}")
    return envelope


def _entry(raw: RawEvent, entry: Entry) -> Iterator[AnyEvent]:
    page = str(entry.id)
    if not is_for(raw, page):
        return
    items = [*((item, False) for item in entry.messaging), *((item, True) for item in entry.standby)]
    yield from each(
        [
            *(
                direct.events_of(raw, item, platform="messenger", scheme="psid", ours=page, standby=standby)
                for item, standby in items
            ),
            *(
                feed.events_of(feed.Scope(raw=raw, page=page, time=entry.time, field=change.field, json=change.value))
                for change in entry.changes
            ),
        ],
        lambda events: events,
    )
