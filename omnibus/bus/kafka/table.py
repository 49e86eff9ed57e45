"""Global tables: the latest value of every key of a compacted topic, followed into a file of this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec
import structlog

from omnibus import clock
from omnibus.bus.kafka.admin import TOMBSTONES_MS
from omnibus.bus.kafka.core import Core
from omnibus.bus.kafka.fetch import Fetcher, Source
from omnibus.bus.kafka.wire import COMMITTED, EARLIEST, LATEST, UNCOMMITTED
from omnibus.errors import OutOfRange, TopicMismatch
from omnibus.stage.step import prefix_end
from omnibus.stage.store.local import LocalStore

log = structlog.get_logger(__name__)
_DAY_MS = 86_400_000
_POSITIONS = "positions"
_RETRY_S = 1.0
_BURST_S = 0.02


class FollowedTable:
    """A `ReadTable` that follows its topic. Whoever asks for it gets it loaded to the end of that moment."""

    def __init__(self, core: Core, topic: str) -> None:
        self._core = core
        self._topic = topic
        self._fetcher = Fetcher(core.wire, f"table {topic}", core.limits)
        self._came = asyncio.Event()
        self._beginning = asyncio.Lock()
        self._waiting: list[tuple[dict[int, int], asyncio.Future[None]]] = []
        self._sources: list[Source] = []
        self._store: LocalStore | None = None
        self._background: list[asyncio.Task[None]] = []

    def get(self, key: bytes) -> bytes | None:
        return self._open.get(key)

    def scan(self, prefix: bytes = b"", limit: int = 1_000) -> Sequence[tuple[bytes, bytes]]:
        end = prefix_end(prefix) if prefix.rstrip(b"\xff") else None
        return self._open.scan(prefix, end, limit)

    @property
    def _open(self) -> LocalStore:
        assert self._store is not None, "a table is handed out after it is loaded"
        return self._store

    # --- following ------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read to the end of now; raises TopicMismatch for a stream, PublishRejected for an unknown topic.

        A transaction's records become visible topic by topic: who asks again, because of what another topic already
        shows, also gets what is being committed just now. The first time does not wait for it: its owner may be dead.
        """
        async with self._beginning:
            first = not self._background
            if first:
                await self._core.catalog.know([self._topic])
                spec = self._core.catalog.topic(self._topic)
                if spec.kind != "table":
                    raise TopicMismatch(f"{self._topic} is a stream; a global table is read from a table topic")
                await self._begin(spec.partitions)
        isolation = COMMITTED if first else UNCOMMITTED
        ends = await self._core.wire.offsets([source.tp for source in self._sources], LATEST, isolation)
        loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(({tp[1]: end for tp, end in ends.items()}, loaded))
        self._came.set()
        await asyncio.wait([loaded, *self._background], return_when=asyncio.FIRST_COMPLETED)
        for task in self._background:
            if task.done():
                task.result()

    async def _begin(self, partitions: int) -> None:
        tps = [(self._topic, partition) for partition in range(partitions)]
        firsts = await self._core.wire.offsets(tps, EARLIEST)
        ends = await self._core.wire.offsets(tps, LATEST)
        store = self._store = LocalStore(self._core.state_file(f"table.{self._topic}", 0))
        kept = self._kept(store, {tp[1]: (firsts[tp], ends[tp]) for tp in tps})
        self._sources = [
            Source(tp, kept.get(tp[1], firsts[tp]), self._core.limits.partition_bytes, self._came.set) for tp in tps
        ]
        for source in self._sources:
            self._fetcher.add(source)
        self._background = [
            asyncio.create_task(self._fetcher.run(), name=f"{self._topic}: fetch"),
            asyncio.create_task(self._follow(), name=f"{self._topic}: follow"),
        ]

    def _kept(self, store: LocalStore, bounds: dict[int, tuple[int, int]]) -> dict[int, int]:
        """The positions of an earlier life, when its copy is still good for anything; else nothing is kept."""
        raw, used_at = store.meta(_POSITIONS), store.meta("used_at")
        if raw is not None and used_at is not None:
            positions = msgspec.msgpack.decode(raw, type=dict[int, int])
            fresh = clock.now_ms() - int(used_at) < TOMBSTONES_MS - _DAY_MS
            if fresh and all(first <= positions.get(part, -1) <= end for part, (first, end) in bounds.items()):
                return positions
        store.wipe()
        return {}

    async def _follow(self) -> None:
        while True:
            self._came.clear()
            self._apply()
            self._tell_loaded()
            if any(source.ahead for source in self._sources):
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(_RETRY_S):
                    await self._came.wait()
            except TimeoutError:
                pass

    def _tell_loaded(self) -> None:
        consumed = {source.tp[1]: source.consumed for source in self._sources}
        waiting, self._waiting = self._waiting, []
        for ends, loaded in waiting:
            if loaded.done():
                continue  # nobody waits any more
            if all(consumed[partition] >= end for partition, end in ends.items()):
                loaded.set_result(None)
            else:
                self._waiting.append((ends, loaded))

    def _apply(self) -> None:
        """What has come, for some milliseconds at most."""
        ends = time.perf_counter() + _BURST_S
        delta: dict[bytes, bytes | None] = {}
        for source in self._sources:
            if source.error is not None and not source.ahead:
                self._mend(source)
            while source.ahead and time.perf_counter() < ends:
                record = source.take()
                if record.key is not None:
                    delta[record.key] = record.value
        if delta:
            positions = {source.tp[1]: source.consumed for source in self._sources}
            meta = {_POSITIONS: msgspec.msgpack.encode(positions), "used_at": str(clock.now_ms()).encode()}
            self._open.apply(delta, meta)
            self._fetcher.more()

    def _mend(self, source: Source) -> None:
        """A table that cannot be read shows what it has and tries on; one whose topic was made anew begins anew."""
        log.warning("table_not_read", topic=self._topic, partition=source.tp[1], reason=str(source.error))
        if isinstance(source.error, OutOfRange):
            source.position = 0
        source.error = source.failing_since = None

    async def close(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._store is not None:
            self._store.close()
            self._store = None


class Tables:
    """The tables of one bus, each followed once."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._tables: dict[str, FollowedTable] = {}

    async def get(self, topic: str) -> FollowedTable:
        """Returns when the table is loaded."""
        table = self._tables.get(topic)
        if table is None:
            table = self._tables[topic] = FollowedTable(self._core, topic)
        try:
            await table.load()
        except BaseException:
            if not table._background:
                self._tables.pop(topic, None)
            raise
        return table

    async def close(self) -> None:
        await asyncio.gather(*(table.close() for table in self._tables.values()))
        self._tables.clear()
