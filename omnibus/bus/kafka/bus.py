"""The Kafka bus itself: opens the cluster and hands out publishers, runners, tables and reads."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from omnibus import clock
from omnibus.blobs import BlobStore
from omnibus.bus.kafka import reading
from omnibus.bus.kafka.access import Access
from omnibus.bus.kafka.admin import Admin
from omnibus.bus.kafka.catalog import Catalog
from omnibus.bus.kafka.core import Core
from omnibus.bus.kafka.cursors import Cursors
from omnibus.bus.kafka.limits import Limits
from omnibus.bus.kafka.pace import Pace
from omnibus.bus.kafka.publisher import KafkaPublisher
from omnibus.bus.kafka.sink_runner import SinkRunner
from omnibus.bus.kafka.stage_runner import StageRunner
from omnibus.bus.kafka.table import Tables
from omnibus.bus.kafka.wire import Wire
from omnibus.bus.port import ReadTable, Record, Runner, SinkSpec, StageSpec, TaskId, TopicSpec
from omnibus.bus.topics import Topics
from omnibus.errors import Misconfigured
from omnibus.stage.contract import SinkHandler, Stage

_JOIN_SLACK_S = 15.0


class KafkaBus:
    """A `Bus` on a Kafka cluster of version 2.5 or later; 3.9 and 4.3 are tested.

    `application` names the groups, transactional ids and changelogs, so that two installations may share a cluster
    (the topic prefix by default). `state_dir` holds local copies of state: without it a temporary folder is used, and
    every start reads the changelogs from their beginning.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        topics: Topics,
        blobs: BlobStore | None = None,
        access: Access | None = None,
        limits: Limits | None = None,
        application: str | None = None,
        state_dir: Path | None = None,
    ) -> None:
        self._addresses = list(addresses)
        self._topics = topics
        self._blobs = blobs
        self._access = access or Access()
        self._limits = limits or Limits()
        self._application = application or topics.prefix
        self._state_dir = state_dir
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._core: Core | None = None
        self._tables: Tables
        self._cursors: Cursors
        self._pace = Pace(self._limits.commit_interval_ms)
        self._runners: list[StageRunner | SinkRunner] = []
        self._publishers: list[KafkaPublisher] = []

    async def open(self) -> None:
        """Raises Misconfigured when no broker answers, or the login is refused."""
        limits = self._limits
        wire = Wire(self._addresses, self._access, limits.request_timeout_s, f"{self._application}-data")
        patience = limits.rebalance_timeout_ms / 1000 + _JOIN_SLACK_S
        groups = Wire(self._addresses, self._access, patience, f"{self._application}-groups")
        await wire.open()
        try:
            await groups.open()
        except BaseException:
            await wire.close()
            raise
        admin = Admin(wire, limits)
        if self._state_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="omnibus-state-")
        self._core = Core(
            wire=wire,
            groups=groups,
            admin=admin,
            catalog=Catalog(admin, self._topics.dead_letters),
            limits=limits,
            blobs=self._blobs,
            dead_letters=self._topics.dead_letters,
            prefix=self._topics.prefix,
            application=self._application,
            state_dir=self._state_dir or Path(self._temporary.name if self._temporary else "."),
        )
        self._tables, self._cursors = Tables(self._core), Cursors(self._core)

    async def close(self, deadline_s: float = 10.0) -> None:
        if self._core is None:
            return
        core, self._core = self._core, None
        ends = time.monotonic() + deadline_s
        await asyncio.gather(*(runner.drain(deadline_s * 0.7) for runner in self._runners))
        closing = [asyncio.ensure_future(publisher.close()) for publisher in self._publishers]
        if closing:
            await asyncio.wait(closing, timeout=max(0.0, ends - time.monotonic() - 0.5))
        for publisher in self._publishers:
            publisher.abandon()
        await asyncio.gather(*closing, return_exceptions=True)
        await self._tables.close()
        await core.groups.close()
        await core.wire.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def _open(self) -> Core:
        if self._core is None:
            raise Misconfigured("bus", "the bus is not open")
        return self._core

    @property
    def core(self) -> Core:
        """For `omnibus bus copy`."""
        return self._open

    @property
    def admin(self) -> Admin:
        """For `omnibus topics`."""
        return self._open.admin

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        await self._open.wire.refresh()
        if self._open.unfinished_copy in self._open.wire.topics():
            raise Misconfigured("bus", "a copy to this cluster was interrupted: run `omnibus bus copy` again")
        await self._open.admin.ensure(specs)
        await self._open.catalog.refresh()

    async def topics(self) -> Sequence[TopicSpec]:
        await self._open.catalog.refresh()
        return self._open.catalog.all()

    def publisher(self, name: str) -> KafkaPublisher:
        publisher = KafkaPublisher(name, self._open, self._cursors)
        self._publishers.append(publisher)
        return publisher

    def run_stage(self, spec: StageSpec, task: Callable[[TaskId], Stage]) -> Runner:
        runner = StageRunner(self._open, spec, task, self._tables, self._pace)
        self._runners.append(runner)
        return runner

    def run_sink(self, spec: SinkSpec, handler: SinkHandler) -> Runner:
        runner = SinkRunner(self._open, spec, handler, self._pace)
        self._runners.append(runner)
        return runner

    async def global_table(self, topic: str) -> ReadTable:
        return await self._tables.get(topic)

    async def read(self, topic: str, partition: int, offset: int, limit: int = 500) -> Sequence[Record]:
        return await reading.read(self._open, topic, partition, offset, limit)

    def follow(self, topic: str, offsets: Mapping[int, int] | None = None) -> AsyncIterator[Sequence[Record]]:
        """The end is that of this moment, though it is asked for only with the first batch: by the records' times."""
        return reading.follow(self._open, topic, offsets or {}, clock.now_ms())

    async def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        return await reading.bounds(self._open, topic)

    async def lag(self, group: str) -> Mapping[tuple[str, int], int]:
        return await reading.lag(self._open, group)
