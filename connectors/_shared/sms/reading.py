"""Reading JSON of providers into types, with the place that failed."""

from __future__ import annotations

from typing import TypeVar

from omnibus.errors import InvalidPayload

T = TypeVar("T")
Part = TypeVar("Part")

MAX_ID_CHARS = 200


def identifier(value: str | None, path: str) -> str:
    """A provider's id. Raises InvalidPayload when there is none, or one that is too long to be any."""
    if not value or len(value) > MAX_ID_CHARS:
        raise InvalidPayload(path, f"expected an id of 1 to {MAX_ID_CHARS} characters")
    return value
