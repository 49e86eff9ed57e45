"""When a message was written, in the many ways systems say it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from connectors.webhook.items import Item, found_at
from connectors.webhook.settings import MappingSettings

_MS_FROM = 100_000_000_000
"""Numbers from here on are milliseconds: as seconds they would be the year 5138."""


def time_of(item: Item, mapping: MappingSettings, received_at: datetime) -> datetime:
    """The message's own time, else its envelope's, else when we received it: a strange time must not cost a message."""
    for value in (*found_at(item.data, mapping.time), item.envelope.time):
        at = _read(value)
        if at is not None:
            return at
    return received_at


def _read(value: Any) -> datetime | None:
    try:
        if isinstance(value, str) and not value.strip().isdigit():
            return _aware(datetime.fromisoformat(value.strip()))
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return _of_number(float(value))
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _of_number(number: float) -> datetime | None:
    seconds = number / 1000 if number >= _MS_FROM else number
    return _aware(datetime.fromtimestamp(seconds, UTC)) if seconds > 0 else None


def _aware(at: datetime) -> datetime:
    """In UTC and cut to milliseconds; a time that does not say its zone is taken as UTC."""
    utc = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
