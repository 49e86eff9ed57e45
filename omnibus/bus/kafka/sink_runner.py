"""Runs a sink on Kafka: at least once, in order for each key, never past what is not acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from omnibus import clock
from omnibus.bus.kafka.core import Core
from omnibus.bus.kafka.group import GroupRunner
from omnibus.bus.kafka.pace import Pace
from omnibus.bus.kafka.sink_part import SinkPart
from omnibus.bus.kafka.strand import Strand, Strands
from omnibus.bus.port import Out, SinkSpec, TaskHealth
from omnibus.stage.contract import SinkHandler
from omnibus.stage.delivery import Deliveries


class SinkRunner(GroupRunner[SinkPart]):
    """One process's share of a sink.

    What the handler returned, the position and the acknowledgements beyond it are committed in one transaction of the
    partition, behind its fence: they are not delivered again, not even after a crash.
    """

    def __init__(self, core: Core, spec: SinkSpec, handler: SinkHandler, pace: Pace) -> None:
        super().__init__(core, spec.name, spec.inputs, pace)
        self._spec = spec
        self._calls: dict[asyncio.Task[None], SinkPart] = {}
        self._deliveries = Deliveries(spec, handler, core.dead_letters, self._check, self)
        self._settling = False

    def _grouped(self, partitions: int) -> Strands:
        return Strands.of_sink(partitions)

    def _new_part(self, partition: int, strand: Strand) -> SinkPart:
        return SinkPart(self._core, self.name, partition, self._inputs, self._partitions, strand)

    # --- the life of a partition ----------------------------------------------------------------

    async def _live(self, part: SinkPart) -> None:
        try:
            await part.open()
            places = await part.places()
            await self._show_start(part, places)
            before = part.window
            reading = part.begin(self._spec, places, self._core.limits.partition_bytes)
            if part.window is not before:
                await self._cancel_calls(part)
            part.follow(reading, self._fetcher)
            while not (self._stopping or part.gone):
                part.wake.clear()
                if not self._settling:
                    if part.admit():
                        self._fetcher.more()
                    self._begin_calls(part)
                if part.dirty and time.monotonic() >= part.strand.commit_at:
                    await self._commit(part)
                    continue
                await self._wait(part, self._pause_s(part))
            if part.gone:
                await self._cancel_calls(part)
            else:
                await self._finish(part)
        except asyncio.CancelledError:
            await self._cancel_calls(part)
            raise

    async def _finish(self, part: SinkPart) -> None:
        """Stopping: let the calls that run end (the runner cancels this at its deadline), commit what they did."""
        while self._calls_of(part):
            part.wake.clear()
            await self._wait(part, None)
        if part.dirty or part.progress() != part.committed_places:
            await self._commit(part)

    def _calls_of(self, part: SinkPart) -> list[asyncio.Task[None]]:
        return [call for call, owner in self._calls.items() if owner is part]

    async def _cancel_calls(self, part: SinkPart) -> None:
        calls = self._calls_of(part)
        for call in calls:
            call.cancel()
        if calls:
            await asyncio.wait(calls, timeout=1.0)

    async def _revoking(self) -> None:
        """A partition may get another owner now: begin no more calls, let those that run end, commit."""
        self._settling = True
        ends = time.monotonic() + self._core.limits.settle_s
        while self._calls and time.monotonic() < ends:
            await asyncio.wait(self._calls, timeout=max(0.0, ends - time.monotonic()))
        for part in self._parts.values():
            if part.dirty:
                part.settled.clear()
                part.wake.set()
                await _until(part.settled, ends)

    def _assigned(self, partitions: set[int]) -> None:
        self._settling = False
        super()._assigned(partitions)
        self._wake_all()

    def _wake_all(self) -> None:
        for part in self._parts.values():
            part.wake.set()

    # --- calls ----------------------------------------------------------------------------------

    def _begin_calls(self, part: SinkPart) -> None:
        now = time.monotonic()
        if part.window is None or now < self._deliveries.paused_until:
            return
        most = self._deliveries.most_at_once
        while len(self._calls) < most:
            call = part.window.take(now)
            if call is None:
                return
            running = asyncio.create_task(self._deliveries.deliver(part, call), name=f"{self.name}: deliver")
            self._calls[running] = part
            running.add_done_callback(self._call_ended)

    def _call_ended(self, call: asyncio.Task[None]) -> None:
        owner = self._calls.pop(call)
        owner.wake.set()
        if len(self._calls) >= self._spec.concurrency - 1 or self._deliveries.pause_reason is not None:
            self._wake_all()

    def _pause_s(self, part: SinkPart) -> float | None:
        """Until something waits no longer; None waits for records or for a call to end."""
        now = time.monotonic()
        waits: list[float] = []
        if part.dirty:
            waits.append(part.strand.commit_at)
        if self._deliveries.pause_reason is not None and now < self._deliveries.paused_until:
            waits.append(self._deliveries.paused_until)
        elif len(self._calls) < self._spec.concurrency and part.window is not None and not self._settling:
            due = part.window.next_due()
            if due is not None:
                waits.append(due)
        if not part.dirty and part.progress() != part.committed_places:
            part.reportable = part.reportable or (
                {(topic, part.id.partition): place.offset for topic, place in part.progress().items()}, -1
            )  # fmt: skip
        return max(0.0, min(waits) - now) if waits else None

    async def _check(self, outs: Sequence[Out]) -> None:
        await self._core.catalog.know({out.topic for out in outs})
        for out in outs:
            self._core.catalog.topic(out.topic)
            self._core.catalog.check(out)

    # --- committing -----------------------------------------------------------------------------

    async def _commit(self, part: SinkPart) -> None:
        outs, places = part.to_commit()
        rows = self._core.catalog.prepare(outs) + part.changelog.rows({}, places)
        last = await part.strand.commit(part.fence, rows)
        offset = last[part.changelog.tp]
        part.changelog.committed({}, offset)
        part.committed()
        part.reportable = ({(topic, part.id.partition): place.offset for topic, place in places.items()}, offset)
        part.last_commit_ms = clock.now_ms()
        part.failures = 0
        part.settled.set()

    # --- health ---------------------------------------------------------------------------------

    def _health_of(self, part: SinkPart) -> TaskHealth:
        health = super()._health_of(part)
        open_records = 0 if part.window is None else part.window.open_count()
        paused = part.state == "ready" and self._deliveries.pause_reason is not None
        return TaskHealth(
            task=part.id,
            state="paused" if paused else part.state,
            lag=health.lag + open_records,
            oldest_ms=health.oldest_ms,
            last_commit_ms=part.last_commit_ms,
            reason=self._deliveries.pause_reason if paused else part.reason,
        )


async def _until(event: asyncio.Event, ends: float) -> None:
    """Until it is set, at the latest until `ends` on the monotonic clock."""
    try:
        async with asyncio.timeout(max(0.0, ends - time.monotonic())):
            await event.wait()
    except TimeoutError:
        pass
