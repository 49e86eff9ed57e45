"""The Date field, as far as it can be understood."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:?\d\d)?")


def parse_date(value: str | None) -> datetime | None:
    """The instant in UTC; a date without a zone is taken as UTC. None when there is no sense in it."""
    if not value or len(value) > 200:
        return None
    try:
        found = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        iso = _ISO.search(value)
        if iso is None:
            return None
        try:
            found = datetime.fromisoformat(iso.group())
        except ValueError:
            return None
    try:
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (OverflowError, ValueError):
        return None
