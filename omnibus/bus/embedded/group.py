"""What stage runners and sink runners have in common: membership, leases, start, drain."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

import structlog

from omnibus import clock
from omnibus.bus.embedded import leases
from omnibus.bus.embedded.catalog import Topic
from omnibus.bus.embedded.core import Core
from omnibus.bus.embedded.leases import Claim
from omnibus.bus.embedded.owner import new_owner
from omnibus.bus.embedded.reader import decode_acked
from omnibus.bus.embedded.schema import tp_of
from omnibus.bus.lost import where_to_go_on
from omnibus.bus.port import Health, TaskHealth
from omnibus.errors import Misconfigured

log = structlog.get_logger(__name__)
P = TypeVar("P")
_BEATS_PER_TTL = 4
_SHORT_S = 0.1
"""Pause between heartbeats while partitions of this member's share are still in other hands."""
_LOOK_S = 1.0
_LAST_WORD_S = 0.25
"""What the handing back of leases gets when the deadline has passed already."""


class GroupRunner(ABC, Generic[P]):
    """One member of a group: `_parts` holds an object for every partition it owns."""

    def __init__(self, core: Core, name: str, inputs: Sequence[str]) -> None:
        self._core = core
        self.name = name
        self._inputs = tuple(inputs)
        self._topics: list[Topic] = []
        self._claim = Claim(group=0, owner=new_owner(), partitions=0, ttl_ms=int(core.limits.lease_ttl_s * 1000))
        self._parts: dict[int, P] = {}
        self._surplus: set[int] = set()
        self._wake = asyncio.Event()
        self._beat_now = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []
        self._stopping = False
        self.others: list[str] = []
        self.fenced_total = 0
        self.restarts_total = 0
        self.processed_total = 0
        self.dead_letters_total = 0

    async def start(self) -> None:
        """Join the group and begin; raises TopicMismatch, PublishRejected (unknown topic) and Misconfigured."""
        if self._background or self._stopping:
            raise Misconfigured(self.name, "a runner is started once")
        self._topics = self._core.catalog.co_partitioned(self.name, self._inputs)
        group = await self._core.writer.run(lambda txn: leases.join(txn, self.name, self._inputs))
        self._claim = Claim(group, self._claim.owner, self._topics[0].spec.partitions, self._claim.ttl_ms)
        self._core.waker.listen([topic.id for topic in self._topics], self._wake, group, self._beat_now)
        self._background = [
            asyncio.create_task(self._keep_on(self._beat_for_ever), name=f"{self.name}: leases"),
            asyncio.create_task(self._keep_on(self._work), name=f"{self.name}: work"),
        ]

    async def drain(self, deadline_s: float) -> None:
        """Finish the step in hand, give the partitions back, stop; by the deadline, ready or not."""
        ends = time.monotonic() + deadline_s
        self._stopping = True
        self._wake.set()
        if self._background:
            beating, working = self._background
            beating.cancel()
            await asyncio.wait([working], timeout=max(0.0, deadline_s - _LAST_WORD_S))
            await self._stop_by(ends)
            working.cancel()
            await asyncio.gather(beating, working, return_exceptions=True)
            await self._leave(max(_LAST_WORD_S, ends - time.monotonic()))
            self._background = []
        self._core.waker.forget(self._wake, self._beat_now)
        self._parts.clear()

    async def _stop_by(self, ends: float) -> None:
        """Whatever else has to end before the leases are given back."""

    async def _leave(self, timeout_s: float) -> None:
        # Shielded: when it cannot be done in time it stays queued, behind every step of this runner, and voids them.
        leaving = asyncio.ensure_future(self._core.writer.run(lambda txn: leases.leave(txn, self._claim)))
        await asyncio.wait([leaving], timeout=timeout_s)
        leaving.add_done_callback(_look_at)

    @property
    def health(self) -> Health:
        behind = self._behind()
        return Health(
            tasks=tuple(self._health_of(part, *behind[part]) for part in sorted(self._parts)),
            fenced_total=self.fenced_total,
            restarts_total=self.restarts_total,
            processed_total=self.processed_total,
            dead_letters_total=self.dead_letters_total,
        )

    @abstractmethod
    def _health_of(self, partition: int, lag: int, oldest_ms: int) -> TaskHealth: ...

    @abstractmethod
    async def _work(self) -> None:
        """Runs until `_stopping`; called again after a failure of its own."""

    @abstractmethod
    def _assigned(self, partition: int, epoch: int) -> P:
        """A partition came to this member."""

    @abstractmethod
    def _lost(self, part: P) -> None:
        """Another member has this partition now: forget everything about it."""

    # --- background -----------------------------------------------------------------------------

    async def _keep_on(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`; a bug in it is logged and it begins again, so that a runner never dies in silence."""
        while True:
            try:
                await work()
                return
            except Exception:
                if self._stopping:
                    return
                log.exception("runner_failed", group=self.name)
                self.restarts_total += 1
                await asyncio.sleep(1.0)

    async def _beat_for_ever(self) -> None:
        while not self._stopping:
            self._beat_now.clear()
            beat = await self._core.writer.run(partial(leases.beat, claim=self._claim))
            self._take_over(beat)
            pause = _SHORT_S if beat.short else self._core.limits.lease_ttl_s / _BEATS_PER_TTL
            try:
                await asyncio.wait_for(self._beat_now.wait(), pause)
            except TimeoutError:
                pass

    def _take_over(self, beat: leases.Beat) -> None:
        self.others = beat.others
        for partition in [key for key in self._parts if key not in beat.owned]:
            self._drop(partition)
        new = [item for item in beat.owned.items() if item[0] not in self._parts]
        for partition, epoch in new:
            self._parts[partition] = self._assigned(partition, epoch)
        self._surplus = set(beat.surplus)
        if new or self._surplus:
            self._wake.set()

    def _drop(self, partition: int) -> None:
        part = self._parts.pop(partition, None)
        if part is not None:
            self._lost(part)

    async def _give_back(self, partitions: list[int]) -> None:
        """Hand partitions over to members that have less than their share."""
        await self._core.writer.run(lambda txn: leases.release(txn, self._claim, partitions))
        for partition in partitions:
            self._surplus.discard(partition)
            self._drop(partition)

    async def _sleep(self, seconds: float | None) -> None:
        """Until there may be work, at most `seconds`; a look now and then costs nothing and forgives a missed call."""
        try:
            await asyncio.wait_for(self._wake.wait(), _LOOK_S if seconds is None else min(seconds, _LOOK_S))
        except TimeoutError:
            pass

    # --- positions ------------------------------------------------------------------------------

    def _committed(self, topic: Topic, partition: int) -> tuple[int, tuple[int, ...]]:
        """Where the group is in a partition, and what it has acknowledged beyond; at first the earliest record.

        Raises OutOfRange when records it has not seen are gone and the operator has not said to skip them.
        """
        tp = tp_of(topic.id, partition)
        bounds = self._core.reader.tails(topic.id)[partition]
        found = self._core.reader.position(self._claim.group, tp)
        if found is None:
            return bounds[0], ()
        offset, acked = found[0], decode_acked(found[1])
        skip = self._core.limits.skip_lost
        return where_to_go_on(self.name, topic.spec.name, partition, offset, acked, bounds, skip=skip)

    def _behind(self) -> dict[int, tuple[int, int]]:
        """For every partition owned: records not dealt with, and the age of the oldest of them in milliseconds."""
        found = dict.fromkeys(self._parts, (0, 0))
        for topic in self._topics if found else ():
            for partition, lag in self._core.reader.lags(self._claim.group, topic.id).items():
                if lag > 0 and partition in found:
                    before, age = found[partition]
                    found[partition] = before + lag, max(age, self._age_ms(topic, partition))
        return found

    def _age_ms(self, topic: Topic, partition: int) -> int:
        """How old the record at the group's position is."""
        tp = tp_of(topic.id, partition)
        position = self._core.reader.position(self._claim.group, tp)
        ts_ms = self._core.reader.time_of(tp, 0 if position is None else position[0])
        return 0 if ts_ms is None else max(0, clock.now_ms() - ts_ms)


def _look_at(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.warning("leases_not_given_back", reason=str(error))
