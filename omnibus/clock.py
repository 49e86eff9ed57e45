"""Where time comes from; tests put another clock in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time, injectable."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when told to; for tests and simulations."""

    def __init__(self, start: datetime = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)) -> None:
        self._ms = to_ms(start)

    def now_ms(self) -> int:
        return self._ms

    def advance(self, by: timedelta) -> None:
        """Move forward by a positive duration."""
        self._ms += int(by.total_seconds() * 1000)


class LaterClock(SystemClock):
    """The machine's own clock, ahead by what a test lets pass."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


_current: Clock = SystemClock()


def now_ms() -> int:
    """Milliseconds since the epoch, by the current clock."""
    return _current.now_ms()


def now() -> datetime:
    """The current time, aware, in UTC, cut to milliseconds."""
    return from_ms(_current.now_ms())


def to_ms(at: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime."""
    return int(at.timestamp() * 1000)


@lru_cache(maxsize=4_096)
def from_ms(ms: int) -> datetime:
    """Aware UTC datetime of milliseconds since the epoch."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


@contextmanager
def use(clock: Clock) -> Iterator[None]:
    """Make `clock` the current one inside a ``with`` block."""
    global _current
    before, _current = _current, clock
    try:
        yield
    finally:
        _current = before
