"""Reading JSON of providers into types, with the place that failed; a damaged part takes no others along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from omnibus.channel.events import AnyEvent
from omnibus.errors import InvalidPayload

T = TypeVar("T")
Part = TypeVar("Part")


def read(data: bytes | msgspec.Raw, kind: type[T], path: str = "body", *, lax: bool = False) -> T:
    """`data` as `kind`. Raises InvalidPayload with the path; `lax` also takes numbers that are written as text."""
    try:
        return msgspec.json.decode(data, type=kind, strict=not lax)
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at `$")
        raise InvalidPayload(f"{path}{where.rstrip('`')}", why) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidPayload(path, f"expected JSON: {error}"[:200]) from None
    except RecursionError:
        raise InvalidPayload(path, "nested too deeply") from None


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
