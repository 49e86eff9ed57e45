"""When a message was written, in the ways gateways say it. What does not say its zone is UTC."""

from __future__ import annotations

from datetime import UTC, datetime

_MS_FROM = 100_000_000_000
"""Numbers from here on are milliseconds: as seconds they would be the year 5138."""


def time_or(given: str | None, otherwise: datetime) -> datetime:
    """ISO 8601 (also with a space), seconds or milliseconds since 1970; `otherwise` when it is none of them."""
    text = (given or "").strip()
    try:
        if text.isascii() and text.isdigit() and len(text) <= 16:
            number = int(text)
            at = datetime.fromtimestamp(number / 1000 if number >= _MS_FROM else number, UTC)
        else:
            at = datetime.fromisoformat(text)
        return to_ms(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError, OSError):
        return otherwise


def to_ms(at: datetime) -> datetime:
    """In UTC, cut to milliseconds. Raises OverflowError at the ends of time."""
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
