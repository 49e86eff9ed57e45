"""Business hours: when a calendar is open, and when so much open time will have passed.

All times are milliseconds since the epoch; hours are local to the calendar's zone, so a day on which the clocks change
is an hour shorter or longer (https://peps.python.org/pep-0495/ says what a local time in the gap or the fold means).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
DAY_MINUTES = 1_440
HORIZON_DAYS = 3 * 366
"""How far is looked ahead for open time: what is further away is as good as never."""
_MAX_CACHED = 2_000

Hours = tuple[tuple[int, int], ...]
"""Open times of a day, in minutes from midnight; an end beyond 1440 is on the next day."""
Span = tuple[int, int]


class Calendar:
    """Weekly hours in a zone, with holidays and special days. Never changes; asking it is pure.

    `week` has the hours of Monday to Sunday, `special` those of single days (empty: closed). `holiday` tells whether
    a day is one; then it is closed, unless it is special.
    """

    def __init__(
        self,
        name: str,
        zone: str,
        week: Sequence[Hours],
        special: Mapping[date, Hours] | None = None,
        holiday: Callable[[date], bool] = lambda day: False,
    ) -> None:
        self.name = name
        self.zone = ZoneInfo(zone)
        self._week = tuple(week)
        self._special = dict(special or {})
        self._holiday = holiday
        self._known: dict[date, tuple[Span, ...]] = {}

    def is_open(self, at_ms: int) -> bool:
        """Whether it is open at that time."""
        first = next(self._spans(at_ms, days=2), None)
        return first is not None and first[0] <= at_ms

    def next_open(self, at_ms: int) -> int | None:
        """When it is open next (now, when it is); None when it is not for years."""
        first = next(self._spans(at_ms), None)
        return None if first is None else max(at_ms, first[0])

    def add(self, at_ms: int, open_ms: int) -> int:
        """The time at which `open_ms` of open time have passed since `at_ms`; the horizon when there is not as much."""
        left = open_ms
        for begin, end in self._spans(at_ms):
            begin = max(begin, at_ms)
            if end - begin >= left:
                return begin + left
            left -= end - begin
        return at_ms + HORIZON_DAYS * DAY_MINUTES * 60_000

    def open_between(self, begin_ms: int, end_ms: int) -> int:
        """How many milliseconds it is open between two times."""
        found = 0
        for begin, end in self._spans(begin_ms):
            if begin >= end_ms:
                break
            found += min(end, end_ms) - max(begin, begin_ms)
        return max(0, found)

    def local(self, at_ms: int) -> datetime:
        """The time on the calendar's clocks."""
        return datetime.fromtimestamp(at_ms / 1000, self.zone)

    def _spans(self, at_ms: int, days: int = HORIZON_DAYS) -> Iterator[Span]:
        """The open spans that end after `at_ms`, in order, touching ones joined."""
        day = self.local(at_ms).date() - DAY  # yesterday's hours may last beyond midnight
        held: Span | None = None
        for _ in range(days + 2):
            for begin, end in self._spans_of(day):
                if end <= at_ms:
                    continue
                if held is None or begin > held[1]:
                    if held is not None:
                        yield held
                    held = (begin, end)
                else:
                    held = (held[0], max(held[1], end))
            day += DAY
        if held is not None:
            yield held

    def _spans_of(self, day: date) -> tuple[Span, ...]:
        spans = self._known.get(day)
        if spans is None:
            if len(self._known) >= _MAX_CACHED:
                self._known.clear()
            made = [(self._at(day, begin), self._at(day, end)) for begin, end in self._hours(day)]
            spans = self._known[day] = tuple(span for span in made if span[1] > span[0])
        return spans

    def _hours(self, day: date) -> Hours:
        special = self._special.get(day)
        if special is not None:
            return special
        return () if self._holiday(day) else self._week[day.weekday()]

    def _at(self, day: date, minute: int) -> int:
        on, at = divmod(minute, DAY_MINUTES)
        local = datetime.combine(day + on * DAY, time(at // 60, at % 60), self.zone)
        return int(local.astimezone(UTC).timestamp() * 1000)


class Always:
    """The calendar of a queue that has none: open day and night."""

    name = None

    def is_open(self, at_ms: int) -> bool:
        """Always."""
        return True

    def add(self, at_ms: int, open_ms: int) -> int:
        """All time is open time."""
        return at_ms + open_ms

    def open_between(self, begin_ms: int, end_ms: int) -> int:
        """All of it."""
        return max(0, end_ms - begin_ms)


ALWAYS = Always()
