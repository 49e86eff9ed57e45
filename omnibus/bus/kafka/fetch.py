"""Reading: one loop for all partitions that a runner, a table or a follower reads."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from functools import partial

import structlog
from aiokafka.protocol.fetch import FetchRequest

from omnibus.bus.kafka.batches import CorruptBatch, unpack
from omnibus.bus.kafka.codes import OFFSET_OUT_OF_RANGE, BrokerRefused, Unanswered, check
from omnibus.bus.kafka.limits import Limits
from omnibus.bus.kafka.wire import COMMITTED, Tp, Wire
from omnibus.bus.port import Record
from omnibus.errors import OutOfRange, TryAgain

log = structlog.get_logger(__name__)
_RECORD_BYTES = 200
_PAUSE_S = 0.1


class Source:
    """One partition being read: records read ahead, where the next ones are, and how far readers may see."""

    __slots__ = ("_most", "_undecoded", "ahead", "bytes", "came", "end", "error", "failing_since", "position", "tp")

    def __init__(self, tp: Tp, position: int, most: int, came: Callable[[], None]) -> None:
        self.tp = tp
        self.position = position
        """The offset after everything decoded so far (markers and gaps included)."""
        self.end = position
        self.ahead: deque[Record] = deque()
        self.bytes = 0
        self.came = came
        self.error: Exception | None = None
        self.failing_since: float | None = None
        self._most = most
        self._undecoded: Iterator[tuple[list[Record], int]] | None = None

    @property
    def wants(self) -> bool:
        """Another request may be made for it."""
        return self.error is None and self._undecoded is None and self.bytes < self._most

    def arrived(self, batches: Iterator[tuple[list[Record], int]]) -> None:
        self._undecoded = batches
        self._decode()

    def _decode(self) -> None:
        """As many batches as there is room for, at least one."""
        while self._undecoded is not None and self.bytes < self._most:
            try:
                records, self.position = next(self._undecoded)
            except StopIteration:
                self._undecoded = None
            except CorruptBatch as error:
                self._undecoded, self.error = None, error
            else:
                self.ahead.extend(records)
                self.bytes += sum(map(size_of, records))

    def take(self) -> Record:
        record = self.ahead.popleft()
        self.bytes -= size_of(record)
        if not self.ahead and self._undecoded is not None:
            self._decode()
        return record

    @property
    def consumed(self) -> int:
        """The offset after everything taken: where a new owner would begin."""
        return self.ahead[0].offset if self.ahead else self.position

    @property
    def lag(self) -> int:
        return max(0, self.end - self.consumed)


def size_of(record: Record) -> int:
    return _RECORD_BYTES + len(record.key or b"") + len(record.value or b"")


class Fetcher:
    """Keeps the sources given to it filled. One request at a time for each broker, over a connection of its own."""

    def __init__(self, wire: Wire, lane: Hashable, limits: Limits, pause_s: Callable[[], float] = lambda: 0.0) -> None:
        """`pause_s` says how long to let records gather after an answer before more is asked for."""
        self._wire = wire
        self._lane = ("fetch", lane)
        self._limits = limits
        self._pause_s = pause_s
        self._sources: dict[Tp, Source] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._turn = 0

    def add(self, source: Source) -> None:
        self._sources[source.tp] = source
        self._changed.set()

    def remove(self, source: Source) -> None:
        if self._sources.get(source.tp) is source:
            del self._sources[source.tp]

    def more(self) -> None:
        """Records were taken: a source may want more."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._changed.clear()
                self._start()
                try:
                    async with asyncio.timeout(1.0):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            for running in self._running.values():
                running.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _start(self) -> None:
        by_node: dict[int, list[Source]] = {}
        for source in self._sources.values():
            if source.wants:
                node = self._wire.leader(source.tp)
                if node is None:
                    self._failing(source, "no leader")
                    self._wire.refresh_soon()
                else:
                    by_node.setdefault(node, []).append(source)
        for node, sources in by_node.items():
            if node not in self._running:
                running = asyncio.create_task(self._fetch(node, sources), name="fetch")
                self._running[node] = running
                running.add_done_callback(partial(self._ended, node))

    def _ended(self, node: int, _: asyncio.Task[None]) -> None:
        del self._running[node]
        self._changed.set()

    async def _fetch(self, node: int, sources: list[Source]) -> None:
        self._turn += 1
        at = self._turn % len(sources)  # a broker fills an answer in the order asked: every partition is first once
        asked = {source.tp: (source, source.position) for source in sources[at:] + sources[:at]}
        topics: dict[str, list[tuple[int, int, int]]] = {}
        for (topic, partition), (_, position) in asked.items():
            topics.setdefault(topic, []).append((partition, position, self._limits.partition_bytes))
        request = FetchRequest(self._limits.fetch_wait_ms, 1, self._limits.fetch_bytes, COMMITTED, list(topics.items()))
        try:
            answer = await self._wire.call(node, request, self._lane)
        except Unanswered as error:
            for source, _ in asked.values():
                self._failing(source, str(error))
            await self._wire.refresh()
            await asyncio.sleep(_PAUSE_S)
            return
        failed = False
        for topic, partitions in answer.topics:
            for partition, code, _, stable, _, aborted, _, data in partitions:
                source, position = asked[topic, partition]
                if self._sources.get(source.tp) is source and source.position == position:
                    failed |= not self._arrived(source, code, stable, aborted, data)
        if failed:
            await self._wire.refresh()
            await asyncio.sleep(_PAUSE_S)
        else:
            await asyncio.sleep(self._pause_s())

    def _arrived(
        self, source: Source, code: int, stable: int, aborted: list[tuple[int, int]] | None, data: bytes | None
    ) -> bool:
        if code == OFFSET_OUT_OF_RANGE:
            topic, partition = source.tp
            self._give_up(source, OutOfRange(f"{topic}[{partition}] no longer has offset {source.position}"))
            return True
        if code:
            self._failing(source, str(BrokerRefused("reading", code)))
            return False
        source.failing_since = None
        source.end, before = stable, source.end
        if data:
            source.arrived(unpack(source.tp, data, source.position, aborted))
        if source.ahead or source.error or before != stable:
            source.came()
        return True

    def _failing(self, source: Source, why: str) -> None:
        """The watchdog: what cannot be read for long is told, instead of waiting in silence."""
        now = time.monotonic()
        source.failing_since = source.failing_since or now
        if now - source.failing_since > self._limits.stall_s:
            topic, partition = source.tp
            self._give_up(source, TryAgain(f"{topic}[{partition}] cannot be read: {why}"))

    def _give_up(self, source: Source, error: Exception) -> None:
        source.error = error
        source.came()


async def fetch_once(
    wire: Wire, tp: Tp, at: int, isolation: int, most: int, lane: Hashable = "read"
) -> Iterator[tuple[list[Record], int]]:
    """One request of about `most` bytes: batch by batch, records from `at` on and the offset to read on from.

    Raises OutOfRange, BrokerRefused, Unanswered, CorruptBatch.
    """
    topic, partition = tp
    request = FetchRequest(0, 1, most, isolation, [(topic, [(partition, at, most)])])

    async def ask() -> Iterator[tuple[list[Record], int]]:
        (node,) = await wire.leaders([tp])
        answer = await wire.call(node, request, lane)
        ((_, ((_, code, _, _, _, aborted, _, data),)),) = answer.topics
        if code == OFFSET_OUT_OF_RANGE:
            raise OutOfRange(f"{topic}[{partition}] has no offset {at}")
        check(f"reading {topic}[{partition}]", code)
        return unpack(tp, data or b"", at, aborted if isolation == COMMITTED else None)

    return await wire.patiently(ask)
