"""Reading what a provider sends, once, into our types; with a path in every complaint.

A damaged part of a batch takes no others along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from omnibus import clock
from omnibus.channel.events import AnyEvent
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes, Scalar, Timestamp

T = TypeVar("T")
Part = TypeVar("Part")

Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799)]
Milliseconds = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""Unix time, up to the year 9999."""
Name = Annotated[str, Meta(min_length=1)]
"""An id, or a token that tells things apart."""

MAX_ID_CHARS = 200
LONGEST_VALUE = 400
"""Of a text among attributes or parameters, which together must stay below 4 KB."""
LONGEST_NATIVE_TYPE = 100


class Foreign(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of what a provider sends: fields it adds later do no harm."""


def read(data: bytes | msgspec.Raw, kind: type[T], path: str = "$", *, lax: bool = False) -> T:
    """`data` as `kind`. Raises InvalidPayload with a path that begins at `path`.

    `lax` also takes numbers that are written as text.
    """
    try:
        found: T = _decoder(kind, lax).decode(data)
        return found
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at `$")
        raise InvalidPayload(f"{path}{where.rstrip('`')}", why) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidPayload(path, f"expected JSON: {error}"[:200]) from None
    except RecursionError:
        raise InvalidPayload(path, "nested too deeply") from None


_decoders: dict[tuple[Any, bool], msgspec.json.Decoder[Any]] = {}


def _decoder(kind: Any, lax: bool) -> msgspec.json.Decoder[Any]:
    """Made once for each kind: making one costs more than reading a message."""
    if (kind, lax) not in _decoders:
        _decoders[kind, lax] = msgspec.json.Decoder(kind, strict=not lax)
    return _decoders[kind, lax]


def each(parts: Iterable[Part], build: Callable[[Part], Iterable[AnyEvent]]) -> Iterator[AnyEvent]:
    """The events of all parts of a batch: one that cannot be read is reported after the others.

    Raises InvalidPayload, the first of them.
    """
    damage: InvalidPayload | None = None
    for part in parts:
        try:
            yield from build(part)
        except InvalidPayload as error:
            damage = damage or error
    if damage is not None:
        raise damage


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


def identifier(value: str | None, path: str) -> str:
    """A provider's id. Raises InvalidPayload when there is none, or one that is too long to be any."""
    if not value or len(value) > MAX_ID_CHARS:
        raise InvalidPayload(path, f"expected an id of 1 to {MAX_ID_CHARS} characters")
    return value


def facts(**values: Scalar | None) -> Attributes:
    """Attributes of what is there: no None, no empty text, long text cut."""
    return {
        name: value[:LONGEST_VALUE] if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None and value != ""
    }


def at_seconds(seconds: int) -> Timestamp:
    """The time of seconds since the epoch."""
    return clock.from_ms(seconds * 1000)


def at_ms(ms: int) -> Timestamp:
    """The time of milliseconds since the epoch."""
    return clock.from_ms(ms)
