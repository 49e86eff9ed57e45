"""Webhooks of an Instagram profile in our words: direct messages, comments, mentions.

https://developers.facebook.com/docs/instagram-platform/webhooks/examples
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from connectors._shared.meta.direct import mapping as direct
from connectors._shared.meta.direct.payload import Change, Entry, Envelope
from connectors._shared.meta.reading import is_for
from connectors._shared.reading import each, read, threads_of
from connectors.instagram import comments
from omnibus.channel.events import AnyEvent
from omnibus.channel.receive import Request
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

OBJECT = "instagram"
MESSAGING_FIELDS = frozenset(
    {
        "messages",
        "message_edit",
        "message_reactions",
        "messaging_handover",
        "messaging_optins",
        "messaging_postbacks",
        "messaging_referral",
        "messaging_seen",
        "standby",
    }
)
"""Fields whose changes are messaging events (the dashboard's tests come like that)."""


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """Every event of the request that this copy of it is for. Raises InvalidPayload, after what can be read."""
    yield from each(_entries(raw.body), lambda entry: _entry(raw, entry))


def threads(raw: RawEvent) -> Sequence[str]:
    """The conversations a request belongs to. Raises InvalidPayload."""
    return threads_of(map_event(raw))


def addresses(request: Request) -> Sequence[str]:
    """The profiles a request speaks of; none when it cannot be read."""
    try:
        return [str(entry.id) for entry in _entries(request.body)]
    except InvalidPayload:
        return ()


def _entries(body: bytes) -> Sequence[Entry]:
    """One envelope, or as the examples for Business Login have it, a list of them."""
    listed = body.lstrip()[:1] == b"["
    envelopes = read(body, tuple[Envelope, ...]) if listed else (read(body, Envelope),)
    for envelope in envelopes:
        if envelope.object != OBJECT:
            raise InvalidPayload("object", f"expected {OBJECT}")
    return [entry for envelope in envelopes for entry in envelope.entry]


def _entry(raw: RawEvent, entry: Entry) -> Iterator[AnyEvent]:
    if not is_for(raw, str(entry.id)):
        return
    alone = (Change(field=entry.field, value=entry.value),) if entry.field is not None else ()
    yield from each(
        [
            *(_direct(raw, entry, item) for item in entry.messaging),
            *(_direct(raw, entry, item, standby=True) for item in entry.standby),
            *(_change(raw, entry, change) for change in (*entry.changes, *alone)),
        ],
        lambda events: events,
    )


def _direct(raw: RawEvent, entry: Entry, item: msgspec.Raw, *, standby: bool = False) -> Iterator[AnyEvent]:
    return direct.events_of(raw, item, platform="instagram", scheme="igsid", ours=str(entry.id), standby=standby)


def _change(raw: RawEvent, entry: Entry, change: Change) -> Iterator[AnyEvent]:
    if change.field in MESSAGING_FIELDS:
        return _direct(raw, entry, change.value, standby=change.field == "standby")
    scope = comments.Scope(raw=raw, ours=str(entry.id), time=entry.time, field=change.field, json=change.value)
    return comments.events_of(scope)
