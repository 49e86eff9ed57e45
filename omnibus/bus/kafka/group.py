"""What stage runners and sink runners have in common: membership, one task for each partition, start, drain, health."""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import structlog

from omnibus import clock
from omnibus.bus.kafka.changelog import Changelog, Place
from omnibus.bus.kafka.codes import BrokerRefused, Unanswered
from omnibus.bus.kafka.core import Core
from omnibus.bus.kafka.fetch import Fetcher, Source
from omnibus.bus.kafka.membership import Membership
from omnibus.bus.kafka.pace import Pace
from omnibus.bus.kafka.produce import Transactions
from omnibus.bus.kafka.strand import Strand, Strands
from omnibus.bus.kafka.wire import EARLIEST, LATEST, Tp
from omnibus.bus.lost import where_to_go_on
from omnibus.bus.port import Health, TaskHealth, TaskId, TaskState
from omnibus.errors import Fenced, Misconfigured
from omnibus.stage.store.local import LocalStore

log = structlog.get_logger(__name__)
_FENCED_PAUSE_S = 0.5
_ANSWERS_PER_COMMIT = 8
_CANCEL_AGAIN_S = 0.2
_LAST_WORD_S = 1.5
"""Of a drain's time, kept for leaving the group and closing."""


class Part:
    """One partition of a group while this process owns it: fence, changelog, inputs, and how it is."""

    def __init__(
        self, core: Core, name: str, partition: int, inputs: Sequence[str], partitions: int, strand: Strand
    ) -> None:
        self._core = core
        self.id = TaskId(name, partition)
        self._inputs = tuple(inputs)
        self.state: TaskState = "starting"
        self.reason: str | None = None
        self.gone = False
        """It has another owner. Its task is cancelled, too, but the client's `wait_for` may lose a cancellation that
        comes together with an answer (https://github.com/python/cpython/issues/86296)."""
        self.failures = 0
        self.last_commit_ms: int | None = None
        self.wake = asyncio.Event()
        self.sources: list[Source] = []
        self.reportable: tuple[dict[Tp, int], int] | None = None
        """Positions to show to the world once the changelog record at this offset can be read."""
        self.strand = strand
        self.fence = 0
        """Which fence of the strand everything here was read after."""
        self._partitions = partitions
        self.changelog: Changelog
        self.saved: dict[str, Place] = {}

    async def open(self) -> None:
        """Fence, then read position and state: whatever was read before the fence is void."""
        self.state = "starting"
        self.fence = await self.strand.open(self.wake)
        self.state = "restoring"
        began = time.monotonic()
        tp = (self._core.state_topic(self.id.stage), self.id.partition)
        if not hasattr(self, "changelog"):
            store = LocalStore(
                self._core.state_file(self.id.stage, self.id.partition), self._core.limits.state_cache_bytes
            )
            self.changelog = Changelog(self._core.wire, tp, self._partitions, store, self._core.limits)
        self.saved = await self.changelog.restore()
        took = time.monotonic() - began
        if self.changelog.restored > 10_000:
            log.info(
                "state_restored", stage=self.id.stage, partition=self.id.partition, records=self.changelog.restored,
                seconds=round(took, 2),
            )  # fmt: skip

    async def places(self) -> dict[str, Place]:
        """Where to begin in each input: as committed, the earliest at the very first start. Raises OutOfRange."""
        tps = [(topic, self.id.partition) for topic in self._inputs]
        firsts = await self._core.wire.offsets(tps, EARLIEST)
        ends = await self._core.wire.offsets(tps, LATEST)
        found: dict[str, Place] = {}
        for topic, partition in tps:
            first, end = firsts[topic, partition], ends[topic, partition]
            place = self.saved.get(topic)
            if place is None:
                place = Place(first)
            else:
                skip, bounds = self._core.limits.skip_lost, (first, end)
                place = Place(
                    *where_to_go_on(self.id.stage, topic, partition, place.offset, place.acked, bounds, skip=skip)
                )
            found[topic] = place
        return found

    def follow(self, places: dict[str, Place], fetcher: Fetcher) -> None:
        most = self._core.limits.partition_bytes
        self.sources = [
            Source((topic, self.id.partition), places[topic].offset, most, self.wake.set) for topic in self._inputs
        ]
        for source in self.sources:
            fetcher.add(source)

    def unfollow(self, fetcher: Fetcher) -> None:
        for source in self.sources:
            fetcher.remove(source)
        self.sources = []

    async def close(self, fetcher: Fetcher) -> None:
        self.state = "stopped"
        self.unfollow(fetcher)
        await self.strand.leave(self.wake)
        if hasattr(self, "changelog"):
            self.changelog.store.close()


P = TypeVar("P", bound=Part)


class GroupRunner(ABC, Generic[P]):
    """One member of a group: `_parts` holds an object and a running task for every partition it owns."""

    def __init__(self, core: Core, name: str, inputs: Sequence[str], pace: Pace) -> None:
        self._core = core
        self.name = name
        self._inputs = tuple(inputs)
        self._pace = pace
        self._parts: dict[int, P] = {}
        self._strands: Strands
        self._held: dict[int, Strand] = {}
        self._lives: dict[int, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._fetcher = Fetcher(core.wire, name, core.limits, self._gather_s)
        self._member: Membership
        self._partitions = 0
        self._background: list[asyncio.Task[None]] = []
        self._stopping = False
        self._told = False
        self.fenced_total = 0
        self.restarts_total = 0
        self.processed_total = 0
        self.dead_letters_total = 0

    async def start(self) -> None:
        """Join the group and begin; raises TopicMismatch, PublishRejected (unknown topic) and Misconfigured."""
        if self._background or self._stopping:
            raise Misconfigured(self.name, "a runner is started once")
        self._partitions = await self._core.co_partitioned(self.name, self._inputs, [self._core.dead_letters])
        self._strands = self._grouped(self._partitions)
        self._member = Membership(
            self._core.groups,
            self._core.group(self.name),
            self._inputs,
            self._strands,
            self._core.limits,
            assigned=self._assigned,
            revoking=self._revoking,
        )
        self._background = [
            asyncio.create_task(self._fetcher.run(), name=f"{self.name}: fetch"),
            asyncio.create_task(self._report_for_ever(), name=f"{self.name}: report"),
            asyncio.create_task(self._member.run(), name=f"{self.name}: group"),
        ]

    async def drain(self, deadline_s: float) -> None:
        """Finish the step in hand, give the partitions back, stop; by the deadline, ready or not."""
        if self._stopping:
            return
        ends = time.monotonic() + deadline_s
        self._stopping = True
        for part in self._parts.values():
            part.wake.set()
        lives = [*self._lives.values(), *self._ending]
        if lives:
            await asyncio.wait(lives, timeout=max(0.0, deadline_s - _LAST_WORD_S))
        for life in lives:
            life.cancel()
        if lives:
            await asyncio.wait(lives, timeout=max(0.1, ends - time.monotonic()))
        if self._background:
            fetching, reporting, grouping = self._background
            await _end_of(reporting, grouping)
            await self._last_report()
            await self._member.leave()
            await _end_of(fetching)
            self._background = []
        self._parts.clear()

    async def _last_report(self) -> None:
        positions = {
            tp: at for part in self._parts.values() if part.reportable for tp, at in part.reportable[0].items()
        }
        if positions:
            await self._member.report(positions)

    @property
    def health(self) -> Health:
        tasks = [self._health_of(part) for _, part in sorted(self._parts.items())]
        return Health(
            tasks=tuple(tasks) if self._told or self._stopping else (self._joining(),),
            fenced_total=self.fenced_total,
            restarts_total=self.restarts_total,
            processed_total=self.processed_total,
            dead_letters_total=self.dead_letters_total,
        )

    def _joining(self) -> TaskHealth:
        """Before the group has said what is ours, it is not known that nothing is to be done."""
        return TaskHealth(task=TaskId(self.name, 0), state="starting", lag=0, reason="joining the group")

    def _health_of(self, part: P) -> TaskHealth:
        waiting = [source.ahead[0].ts_ms for source in part.sources if source.ahead]
        return TaskHealth(
            task=part.id,
            state=part.state,
            lag=sum(source.lag for source in part.sources),
            oldest_ms=max((max(0, clock.now_ms() - ts_ms) for ts_ms in waiting), default=0),
            last_commit_ms=part.last_commit_ms,
            reason=part.reason,
        )

    def _gather_s(self) -> float:
        """Between two answers: records are taken up at the pace of commits, so asking more often gains nothing."""
        return self._pace.interval_s / _ANSWERS_PER_COMMIT

    # --- what comes and goes --------------------------------------------------------------------

    @abstractmethod
    def _grouped(self, partitions: int) -> Strands:
        """Which partitions commit together."""

    @abstractmethod
    def _new_part(self, partition: int, strand: Strand) -> P: ...

    @abstractmethod
    async def _live(self, part: P) -> None:
        """From fence to failure, or until `_stopping`; returns only when the runner stops."""

    async def _revoking(self) -> None:
        """Before this member joins again: what should not be cut in the middle may end now, in bounded time."""

    def _assigned(self, partitions: set[int]) -> None:
        """What is kept goes on as it is, under its fence; the rest begins or ends."""
        self._told = True
        if self._stopping:
            return
        for partition in self._parts.keys() - partitions:
            self._end(partition)
        for partition in sorted(partitions - self._parts.keys()):
            self._begin(partition)

    def _begin(self, partition: int) -> None:
        number = self._strands.of(partition)
        strand = self._held[number] = self._held.get(number) or self._new_strand(number)
        part = self._parts[partition] = self._new_part(partition, strand)
        life = asyncio.create_task(self._keep_alive(part), name=f"{self.name}[{partition}]")
        self._lives[partition] = life

    def _new_strand(self, number: int) -> Strand:
        core = self._core
        lane = ("txn", number % core.limits.lanes)
        transactions = Transactions(core.wire, core.transactional_id(self.name, number), lane, core.limits)
        return Strand(transactions, self._pace, core.limits.batch_bytes)

    def _end(self, partition: int) -> None:
        self._parts.pop(partition).gone = True
        self._held.pop(self._strands.of(partition), None)  # it ends with all its partitions, and is never resumed
        life = self._lives.pop(partition)
        life.cancel()
        self._ending.add(life)
        life.add_done_callback(self._ending.discard)

    async def _keep_alive(self, part: P) -> None:
        """Crash-only: a task that failed is begun afresh, fence first, as long as it is ours."""
        try:
            while not (self._stopping or part.gone):
                try:
                    await self._live(part)
                    return
                except Exception as error:
                    await self._after_failure(part, error)
        finally:
            await part.close(self._fetcher)

    async def _after_failure(self, part: P, error: Exception) -> None:
        part.unfollow(self._fetcher)
        least, most = self._core.limits.restart_backoff_s
        if isinstance(error, Fenced):
            # The coordinator is asked who owns the partition before it is fenced again: else two would do so in turn.
            self.fenced_total += 1
            self._member.look()
            least = max(least, _FENCED_PAUSE_S)
        pause = min(most, least * 2 ** min(part.failures, 16)) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter
        part.failures += 1
        part.state, part.reason = "failed", f"{type(error).__name__}: {error}"
        self.restarts_total += 1
        log.warning(
            "task_failed", stage=self.name, partition=part.id.partition, reason=part.reason, retry_in_s=round(pause, 2)
        )
        await asyncio.sleep(pause)

    async def _wait(self, part: P, seconds: float | None) -> None:
        """Until there may be work for a part, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await part.wake.wait()
        except TimeoutError:
            pass

    # --- showing how far it is ------------------------------------------------------------------

    async def _show_start(self, part: P, places: Mapping[str, Place]) -> None:
        """Before it is ready: who asks for the lag of a group that never committed sees its whole backlog."""
        positions = {(topic, part.id.partition): place.offset for topic, place in places.items()}
        part.reportable = None if await self._member.report(positions) else (positions, -1)

    async def _report_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._core.limits.report_every_s)
            self._pace.look()
            try:
                await self._report()
            except (Unanswered, BrokerRefused) as error:
                log.debug("not_reported", group=self.name, reason=str(error))

    async def _report(self) -> None:
        """The group's offsets follow the changelogs, but only as far as readers can see what was committed with them:
        who sees a group caught up sees its outputs too."""
        waiting = {part: part.reportable for part in self._parts.values() if part.reportable is not None}
        if not waiting:
            return
        visible = await self._core.wire.offsets([part.changelog.tp for part in waiting], LATEST)
        seen = {part: what for part, what in waiting.items() if what[1] < visible[part.changelog.tp]}
        positions = {tp: offset for what in seen.values() for tp, offset in what[0].items()}
        if positions and await self._member.report(positions):
            for part, what in seen.items():
                if part.reportable is what:
                    part.reportable = None


async def _end_of(*tasks: asyncio.Task[None]) -> None:
    """Cancel them until they end: one cancellation may be lost, see `Part.gone`."""
    while alive := [task for task in tasks if not task.done()]:
        for task in alive:
            task.cancel()
        await asyncio.wait(alive, timeout=_CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
