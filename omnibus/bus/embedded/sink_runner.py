"""Runs a sink on the embedded bus: at least once, in order for each key, never past what is not acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from omnibus import clock
from omnibus.bus.embedded.core import Core
from omnibus.bus.embedded.group import GroupRunner
from omnibus.bus.embedded.sink_part import SinkPart
from omnibus.bus.embedded.txn import Txn
from omnibus.bus.port import Out, SinkSpec, TaskHealth, TaskId
from omnibus.errors import Fenced, OmnibusError
from omnibus.stage.contract import SinkHandler
from omnibus.stage.delivery import Deliveries
from omnibus.stage.window import Progress, Window

log = structlog.get_logger(__name__)


class SinkRunner(GroupRunner[SinkPart]):
    """One process's share of a sink.

    Before a record is handed to the handler the log up to it is synced to the disk, so that no effect outlives its
    cause. Acknowledgements beyond the position are kept with it: they are not delivered again, not even after a crash.
    """

    def __init__(self, core: Core, spec: SinkSpec, handler: SinkHandler) -> None:
        super().__init__(core, spec.name, spec.inputs)
        self._spec = spec
        self._calls: dict[asyncio.Task[None], SinkPart] = {}
        self._deliveries = Deliveries(spec, handler, core.dead_letters, self._check, self)
        self._turn = 0

    def _assigned(self, partition: int, epoch: int) -> SinkPart:
        return SinkPart(self._core, TaskId(self.name, partition), epoch)

    def _lost(self, part: SinkPart) -> None:
        part.state = "stopped"
        for call, owner in self._calls.items():
            if owner is part:
                call.cancel()

    async def _stop_by(self, ends: float) -> None:
        """Cancel the calls that still run at the deadline; the next owner delivers their records again."""
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=max(0.05, ends - time.monotonic()))

    # --- the loop -------------------------------------------------------------------------------

    async def _work(self) -> None:
        while self._calls or not self._stopping:
            self._wake.clear()
            await self._hand_over()
            self._open_parts()
            if not self._stopping:
                self._admit()
            await self._commit()
            if not self._stopping:
                self._begin_calls()
            await self._sleep(self._pause_s())
        await self._commit()

    async def _hand_over(self) -> None:
        """Give surplus partitions back once nothing of them is in flight."""
        parts = [self._parts[key] for key in sorted(self._surplus & self._parts.keys())]
        for part in parts:
            part.handing_over = True
        idle = [part.id.partition for part in parts if not part.busy]
        if idle:
            await self._give_back(idle)

    def _open_parts(self) -> None:
        now = time.monotonic()
        for part in self._parts.values():
            part.handing_over = part.handing_over and part.id.partition in self._surplus
            if part.window is None and part.retry_at <= now:
                self._open(part)

    def _open(self, part: SinkPart) -> None:
        try:
            progress: dict[str, Progress] = {}
            for topic in self._topics:
                offset, acked = self._committed(topic, part.id.partition)
                progress[topic.spec.name] = Progress(offset, acked)
            part.open(Window(self._spec, progress, self._core.limits.fetch_bytes), progress)
        except OmnibusError as error:
            self._failed(part, error)

    def _admit(self) -> None:
        now = time.monotonic()
        for topic in self._topics:
            tails = self._core.reader.tails(topic.id)
            for part in self._parts.values():
                if part.retry_at > now:
                    continue
                try:
                    part.admit(topic, tails[part.id.partition])
                except OmnibusError as error:
                    self._failed(part, error)

    def _begin_calls(self) -> None:
        """Start as many calls as may run, one partition after the other."""
        now = time.monotonic()
        most = self._deliveries.most_at_once
        if now < self._deliveries.paused_until:
            return
        parts = self._in_turn()
        while parts and len(self._calls) < most:
            parts = [part for part in parts if len(self._calls) < most and self._begin_call(part, now)]

    def _begin_call(self, part: SinkPart, now: float) -> bool:
        call = part.take(now)
        if call is None:
            return False
        running = asyncio.create_task(self._deliveries.deliver(part, call), name=f"{self.name}: deliver")
        self._calls[running] = part
        running.add_done_callback(self._call_ended)
        return True

    def _call_ended(self, call: asyncio.Task[None]) -> None:
        del self._calls[call]
        self._wake.set()

    def _in_turn(self) -> list[SinkPart]:
        parts = [self._parts[key] for key in sorted(self._parts)]
        self._turn += 1
        at = self._turn % max(1, len(parts))
        return parts[at:] + parts[:at]

    def _pause_s(self) -> float | None:
        """Until something waits no longer; None waits for records or for a call to end."""
        now = time.monotonic()
        waits = [part.retry_at for part in self._parts.values() if part.window is None or part.reason is not None]
        if self._deliveries.pause_reason is not None and now < self._deliveries.paused_until:
            waits.append(self._deliveries.paused_until)
        elif len(self._calls) < self._spec.concurrency and not self._stopping:
            waits.extend(due for part in self._parts.values() if (due := part.next_due()) is not None)
        return max(0.0, min(waits) - now) if waits else None

    async def _check(self, outs: Sequence[Out]) -> None:
        for out in outs:
            self._core.catalog.check(out)

    # --- committing -----------------------------------------------------------------------------

    async def _commit(self) -> None:
        """One synced commit: acknowledgements since the last one, and the fence of newly admitted records."""
        now = time.monotonic()
        parts = [
            part
            for part in self._parts.values()
            if part.retry_at <= now and part.has_to_commit(now, last=self._stopping)
        ]
        jobs: list[tuple[SinkPart, Callable[[Txn], None]]] = []
        rows = 0
        for part in parts:
            rows += part.rows
            try:
                jobs.append((part, part.job(self._core, self._claim)))
            except OmnibusError as error:
                self._commit_failed(part, error)
        if not jobs:
            return
        outcomes = await self._core.writer.run_all([job for _, job in jobs], durable=True, rows=rows)
        for (part, _), outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                self._commit_failed(part, outcome)
            else:
                part.committed(clock.now_ms())

    def _commit_failed(self, part: SinkPart, error: BaseException) -> None:
        part.put_back()
        if isinstance(error, Fenced):
            self.fenced_total += 1
            self._drop(part.id.partition)
            self._beat_now.set()
            return
        self._failed(part, error)

    def _failed(self, part: SinkPart, error: BaseException) -> None:
        """Keep the window (what was delivered is not delivered again) and try the commit or the start later."""
        part.fail(f"{type(error).__name__}: {error}", self._core.limits.restart_backoff_s)
        self.restarts_total += 1
        log.warning("sink_failed", sink=self.name, partition=part.id.partition, reason=part.reason)

    # --- health ---------------------------------------------------------------------------------

    def _health_of(self, partition: int, lag: int, oldest_ms: int) -> TaskHealth:
        part = self._parts[partition]
        paused = part.state == "ready" and self._deliveries.pause_reason is not None
        return TaskHealth(
            task=part.id,
            state="paused" if paused else part.state,
            lag=lag,
            oldest_ms=oldest_ms,
            last_commit_ms=part.last_commit_ms,
            reason=self._deliveries.pause_reason if paused else part.reason,
        )
