"""The embedded bus itself: opens the file and hands out publishers, runners, tables and reads."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from omnibus.blobs import BlobStore
from omnibus.bus.embedded import leases
from omnibus.bus.embedded.catalog import Catalog, create_missing
from omnibus.bus.embedded.core import Core, OtherProcesses, Waker
from omnibus.bus.embedded.follow import follow
from omnibus.bus.embedded.housekeeper import Housekeeper
from omnibus.bus.embedded.leases import Claim
from omnibus.bus.embedded.limits import Limits
from omnibus.bus.embedded.publisher import EmbeddedPublisher, Quota
from omnibus.bus.embedded.reader import Reader
from omnibus.bus.embedded.schema import FILE, tp_of
from omnibus.bus.embedded.sink_runner import SinkRunner
from omnibus.bus.embedded.stage_runner import StageRunner
from omnibus.bus.embedded.table import LatestTable
from omnibus.bus.embedded.txn import Txn
from omnibus.bus.embedded.writer import Writer
from omnibus.bus.port import ReadTable, Record, Runner, SinkSpec, StageSpec, TaskId, TopicSpec
from omnibus.errors import Misconfigured
from omnibus.stage.contract import SinkHandler, Stage

_SWITCH_S = 0.0005
_READ_BYTES = 16 * 1024 * 1024


class EmbeddedBus:
    """A `Bus` in one SQLite file (`bus.sqlite` in the folder `path`), shared by the processes of one machine.

    `dead_letters` is the topic for records that cannot be processed. Stages commit as soon as a step is done, so
    `commit_interval_ms` has no meaning here.
    """

    def __init__(
        self, path: Path, *, dead_letters: str, blobs: BlobStore | None = None, limits: Limits | None = None
    ) -> None:
        self._path = path
        self._dead_letters = dead_letters
        self._blobs = blobs
        self._limits = limits or Limits()
        self._core: Core | None = None
        self._quota = Quota(self._limits)
        self._runners: list[StageRunner | SinkRunner] = []
        self._publishers: list[EmbeddedPublisher] = []
        self._housekeeper: Housekeeper | None = None
        self._background: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        # The writer's thread shares the interpreter with the loop; at the default (5 ms) a busy loop starves commits.
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_S))
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        waker = Waker()
        writer = await Writer.start(self._path / FILE, waker.committed)
        try:
            reader = Reader(self._path / FILE)
        except BaseException:
            await writer.close(1.0)
            raise
        self._core = Core(
            writer=writer,
            reader=reader,
            catalog=Catalog(reader, self._dead_letters),
            waker=waker,
            limits=self._limits,
            blobs=self._blobs,
            dead_letters=self._dead_letters,
            fence=self.fence,
        )
        watch = OtherProcesses(writer, reader, waker).watch(self._limits.poll_ms / 1000)
        self._housekeeper = Housekeeper(self._core, self._path / FILE)
        self._background = [
            asyncio.create_task(watch, name="bus: other processes"),
            asyncio.create_task(self._housekeeper.work(), name="bus: housekeeping"),
        ]

    def fence(self, txn: Txn, claim: Claim, epochs: Mapping[int, int]) -> None:
        """Runs inside every step's transaction: raises Fenced when a partition has another owner or epoch."""
        leases.hold(txn, claim, epochs)

    async def close(self, deadline_s: float = 10.0) -> None:
        if self._core is None:
            return
        core, self._core = self._core, None
        ends = time.monotonic() + deadline_s
        core.waker.close()
        await asyncio.gather(*(runner.drain(deadline_s * 0.8) for runner in self._runners))
        closing = [asyncio.ensure_future(publisher.close()) for publisher in self._publishers]
        if closing:
            await asyncio.wait(closing, timeout=max(0.0, ends - time.monotonic()))
        for task in (*self._background, *closing):
            task.cancel()
        await asyncio.gather(*self._background, *closing, return_exceptions=True)
        if self._housekeeper is not None:
            await asyncio.wait(
                [asyncio.ensure_future(self._housekeeper.leave())], timeout=max(0.1, ends - time.monotonic())
            )
        await core.writer.close(ends - time.monotonic())
        core.reader.close()

    @property
    def _open(self) -> Core:
        if self._core is None:
            raise Misconfigured("bus", "the bus is not open")
        return self._core

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        await self._open.writer.run(partial(create_missing, specs=specs), durable=True)
        self._open.catalog.refresh()

    async def topics(self) -> Sequence[TopicSpec]:
        return [topic.spec for topic in self._open.catalog.all()]

    def publisher(self, name: str) -> EmbeddedPublisher:
        publisher = EmbeddedPublisher(name, self._open.writer, self._open.catalog, self._quota)
        self._publishers.append(publisher)
        return publisher

    def run_stage(self, spec: StageSpec, task: Callable[[TaskId], Stage]) -> Runner:
        runner = StageRunner(self._open, spec, task)
        self._runners.append(runner)
        return runner

    def run_sink(self, spec: SinkSpec, handler: SinkHandler) -> Runner:
        runner = SinkRunner(self._open, spec, handler)
        self._runners.append(runner)
        return runner

    async def global_table(self, topic: str) -> ReadTable:
        return LatestTable(self._open.reader, self._open.catalog.topic(topic))

    async def read(self, topic: str, partition: int, offset: int, limit: int = 500) -> Sequence[Record]:
        found = self._open.catalog.topic(topic)
        return self._open.reader.records(topic, tp_of(found.id, partition), offset, limit, _READ_BYTES)

    def follow(self, topic: str, offsets: Mapping[int, int] | None = None) -> AsyncIterator[Sequence[Record]]:
        found = self._open.catalog.topic(topic)
        ends = {partition: after for partition, (_, after) in self._open.reader.tails(found.id).items()}
        return follow(self._open, found, ends | dict(offsets or {}))

    async def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        return self._open.reader.tails(self._open.catalog.topic(topic).id)

    async def lag(self, group: str) -> Mapping[tuple[str, int], int]:
        core = self._open
        found = core.reader.group(group)
        if found is None:
            return {}
        group_id, inputs = found
        return {
            (name, partition): lag
            for name in inputs
            for partition, lag in core.reader.lags(group_id, core.catalog.topic(name).id).items()
        }
