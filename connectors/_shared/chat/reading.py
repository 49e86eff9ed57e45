"""Reading what a provider sends, once, into our types; with a path in every complaint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from omnibus import clock
from omnibus.channel.events import AnyEvent
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes, Timestamp

T = TypeVar("T")

Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Milliseconds = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""Unix time, up to the year 9999."""
Name = Annotated[str, Meta(min_length=1)]
"""An id, or a token that tells things apart."""

LONGEST_VALUE = 400
"""Of a text among attributes or parameters, which together must stay below 4 KB."""
LONGEST_NATIVE_TYPE = 100


class Foreign(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of what a provider sends: fields it adds later do no harm."""


def read(data: bytes | msgspec.Raw, kind: type[T], path: str = "$") -> T:
    """`data` as `kind`. Raises InvalidPayload with a path that begins at `path`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at `$")
        raise InvalidPayload(f"{path}{where.rstrip('`')}", why) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidPayload(path, f"expected JSON: {error}"[:200]) from None
    except RecursionError:
        raise InvalidPayload(path, "nested too deeply") from None


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


def facts(**values: str | float | None) -> Attributes:
    """Attributes of what is there: no None, no empty text, long text cut."""
    return {
        name: value[:LONGEST_VALUE] if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None and value != ""
    }


def at_ms(ms: int) -> Timestamp:
    """The time of milliseconds since the epoch."""
    return clock.from_ms(ms)
