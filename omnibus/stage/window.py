"""The records of one sink partition that are in flight: which may go next, which are done, how far the position is.

Pure: no clock, no I/O, no engine. Both engines admit records, take calls, report how each call ended and commit
`progress`. Records of one key (by_key) go one call after the other in order; with by_key off the whole partition does.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Mapping

import msgspec

from omnibus.bus.port import Record, SinkSpec

_RECORD_BYTES = 200
"""What a record costs besides its value, roughly."""


class Progress(msgspec.Struct, frozen=True):
    """How far a partition of one topic is: everything below `position` is done, and so are the offsets in `acked`."""

    position: int
    acked: tuple[int, ...] = ()


class Entry:
    """One record in flight and how often it was tried."""

    __slots__ = ("attempts", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.attempts = 0


class Lane:
    """Records that must go one after the other."""

    __slots__ = ("alone", "entries", "key")

    def __init__(self, key: object) -> None:
        self.key = key
        self.entries: deque[Entry] = deque()
        self.alone = 0
        """So many of the next records go one by one, to find the one that fails a whole call."""


class Call:
    """Records handed to the sink's handler together."""

    __slots__ = ("entries", "lane")

    def __init__(self, lane: Lane, entries: list[Entry]) -> None:
        self.lane = lane
        self.entries = entries

    @property
    def records(self) -> list[Record]:
        return [entry.record for entry in self.entries]

    @property
    def attempts(self) -> int:
        """How often the most tried record of the call was tried, this time included."""
        return max(entry.attempts for entry in self.entries)


class _Topic:
    """One input topic: `open` holds the offsets from the position on that were admitted, `acked` those done of them.

    `acked` also holds what an earlier life of the window had done beyond its position, until that is admitted again.
    """

    __slots__ = ("acked", "next_fetch", "open")

    def __init__(self, progress: Progress) -> None:
        self.next_fetch = progress.position
        self.open: deque[int] = deque()
        self.acked = set(progress.acked)

    def done(self, offset: int) -> None:
        self.acked.add(offset)
        self.advance()

    def advance(self) -> None:
        """Let the position pass what is done."""
        while self.open and self.open[0] in self.acked:
            self.acked.remove(self.open.popleft())

    def progress(self) -> Progress:
        position = self.open[0] if self.open else self.next_fetch
        return Progress(position, tuple(sorted(self.acked)))


class Window:
    """The window of one partition over all inputs of a sink."""

    def __init__(self, spec: SinkSpec, progress: Mapping[str, Progress], max_bytes: int = 16 * 1024 * 1024) -> None:
        self._spec = spec
        self._max_bytes = max_bytes
        self._topics = {name: _Topic(progress[name]) for name in spec.inputs}
        self._lanes: dict[object, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._later: list[tuple[float, int, Lane]] = []
        self._tie = itertools.count()
        self._bytes = 0
        self.running = 0
        """Calls taken and not yet ended."""

    # --- input ----------------------------------------------------------------------------------

    def room(self) -> int:
        """How many more records may be admitted."""
        return 0 if self._bytes >= self._max_bytes else max(0, self._spec.window - self._span())

    def _span(self) -> int:
        """Records between the position and the newest one admitted: a slow key holds back the rest at this width."""
        return sum(len(topic.open) for topic in self._topics.values())

    def open_count(self) -> int:
        """Records admitted from the position on, those done out of order among them."""
        return self._span()

    def next_fetch(self, topic: str) -> int:
        """The offset to read on from."""
        return self._topics[topic].next_fetch

    def admit(self, record: Record) -> bool:
        """Take in the next record of a topic; False when nothing is to be done with it: it was done before (in an
        earlier life of this window), or the sink does not want it."""
        topic = self._topics[record.topic]
        topic.next_fetch = record.offset + 1
        topic.open.append(record.offset)
        if record.offset in topic.acked:
            topic.advance()
            return False
        if self._spec.wants is not None and not self._spec.wants(record):
            topic.done(record.offset)
            return False
        self._bytes += _size(record)
        self._lane_of(record).entries.append(Entry(record))
        return True

    def skip_to(self, topic: str, offset: int) -> None:
        """There is nothing between the last record admitted and `offset` (a gap in the log)."""
        source = self._topics[topic]
        if offset > source.next_fetch:
            source.acked = {done for done in source.acked if not source.next_fetch <= done < offset}
            source.next_fetch = offset

    def _lane_of(self, record: Record) -> Lane:
        key: object = None
        if self._spec.by_key:
            # A record without a key waits for no other one.
            key = (record.topic, record.offset) if record.key is None else record.key
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
            self._ready.append(lane)
        return lane

    # --- calls ----------------------------------------------------------------------------------

    def take(self, now_s: float) -> Call | None:
        """The next call that may begin, None when there is none now. `now_s` is any clock, the same in `retry`."""
        while self._later and self._later[0][0] <= now_s:
            self._ready.append(heapq.heappop(self._later)[2])
        if not self._ready:
            return None
        lane = self._ready.popleft()
        size = 1 if lane.alone else self._spec.max_batch
        entries = [lane.entries[i] for i in range(min(size, len(lane.entries)))]
        for entry in entries:
            entry.attempts += 1
        self.running += 1
        return Call(lane, entries)

    def next_due(self) -> float | None:
        """When the first waiting key may go again, None when none waits."""
        return self._later[0][0] if self._later else None

    def done(self, call: Call) -> None:
        """Every record of the call is dealt with (delivered, or a dead letter)."""
        self.running -= 1
        lane = call.lane
        for entry in call.entries:
            lane.entries.popleft()
            record = entry.record
            self._topics[record.topic].done(record.offset)
            self._bytes -= _size(record)
        lane.alone = max(0, lane.alone - len(call.entries))
        if lane.entries:
            self._ready.append(lane)
        else:
            del self._lanes[lane.key]

    def retry(self, call: Call, at_s: float) -> None:
        """Nothing of the call is done: its lane waits until `at_s`, the others go on."""
        self.running -= 1
        heapq.heappush(self._later, (at_s, next(self._tie), call.lane))

    def untried(self, call: Call, at_s: float) -> None:
        """As `retry`, but the attempt does not count (the sink itself is misconfigured)."""
        for entry in call.entries:
            entry.attempts -= 1
        self.retry(call, at_s)

    def one_by_one(self, call: Call, at_s: float) -> None:
        """The call failed for good and holds several records: try each alone, so that only the bad one is lost."""
        for entry in call.entries:
            entry.attempts -= 1
        call.lane.alone = len(call.entries)
        self.retry(call, at_s)

    # --- what to commit -------------------------------------------------------------------------

    def progress(self) -> dict[str, Progress]:
        """For every input topic, how far it is; the position never passes a record that is not done."""
        return {name: topic.progress() for name, topic in self._topics.items()}


def _size(record: Record) -> int:
    return _RECORD_BYTES + len(record.value or b"")


def backoff_s(attempt: int, bounds: tuple[float, float], jitter: float, after_s: float | None = None) -> float:
    """How long to wait after attempt number `attempt` (from 1): exponential with full jitter between the bounds.

    `jitter` is a random number in [0, 1). A delay the other side asked for (`after_s`) is never shortened.
    """
    least, most = bounds
    if after_s is not None:
        return after_s + least * jitter
    return float(min(most, least * 2 ** min(attempt - 1, 32)) * jitter)
