"""Reading what Meta sends: envelopes of entries, of which each part is read for itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from omnibus import clock
from omnibus.channel.events import AnyEvent
from omnibus.channel.receive import ADDRESSES
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes, Timestamp
from omnibus.model.raw import RawEvent

T = TypeVar("T")
Part = TypeVar("Part")

Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799)]
"""Unix time, up to the year 9999; Meta writes it as a number or as text."""
Milliseconds = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
Name = Annotated[str, Meta(min_length=1)]
"""An id, or a token that tells things apart."""
AnyId = Name | Number
"""Meta writes the same id as text in one place, and as a number in another."""

LONGEST_VALUE = 400
"""Of a text among attributes or parameters, which together must stay below 4 KB."""


class Foreign(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of what Meta sends: fields it adds later do no harm."""


def threads_of(events: Iterable[AnyEvent]) -> Sequence[str]:
    """The threads of the events, each once. Raises InvalidPayload when nothing at all can be read."""
    found: dict[str, None] = {}
    try:
        for event in events:
            found[event.thread] = None
    except InvalidPayload:
        if not found:
            raise
    return tuple(found)


def is_for(raw: RawEvent, address: str) -> bool:
    """Whether this copy of a request is for that address (see `Webhook.addresses`)."""
    addresses = raw.attributes.get(ADDRESSES)
    return addresses is None or address in addresses.split(" ")


def at_seconds(seconds: int) -> Timestamp:
    return clock.from_ms(seconds * 1000)


def facts(**values: Any) -> Attributes:
    """Attributes of what is there: no None, no empty text, long text cut."""
    return {
        name: value[:LONGEST_VALUE] if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None and value != ""
    }
