"""How often and since when each record in flight has been tried."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from omnibus import clock
from omnibus.bus.port import Record

_MOST = 50_000
"""Records remembered at most; what another process took over is forgotten this way."""


class Tries(msgspec.Struct):
    """Tries of one record by this process."""

    since_ms: int
    count: int = 0


class Patience:
    """Counts tries. Age counts from the first try of this process: an outage of our own uses up nobody's patience."""

    def __init__(self, limit: timedelta | None) -> None:
        self._limit_ms = None if limit is None else int(limit.total_seconds() * 1000)
        self._tries: OrderedDict[tuple[str, int, int], Tries] = OrderedDict()

    def trying(self, records: Iterable[Record]) -> None:
        """Another try of each begins."""
        now = clock.now_ms()
        for record in records:
            self._tries.setdefault(_place(record), Tries(now)).count += 1
        while len(self._tries) > _MOST:
            self._tries.popitem(last=False)

    def count(self, record: Record) -> int:
        """How often it was tried, the running try included."""
        tries = self._tries.get(_place(record))
        return 1 if tries is None else tries.count

    def is_over(self, records: Iterable[Record]) -> bool:
        """Whether every one of these has been tried for longer than the limit."""
        if self._limit_ms is None:
            return False
        now = clock.now_ms()
        found = [self._tries.get(_place(record)) for record in records]
        return all(tries is not None and now - tries.since_ms >= self._limit_ms for tries in found)

    def done(self, records: Iterable[Record]) -> None:
        """Forget them."""
        for record in records:
            self._tries.pop(_place(record), None)


def _place(record: Record) -> tuple[str, int, int]:
    return (record.topic, record.partition, record.offset)
