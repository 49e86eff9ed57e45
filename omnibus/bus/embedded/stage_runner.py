"""Runs a stage on the embedded bus: read, step, commit, for every partition this process owns."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import structlog

from omnibus import clock
from omnibus.blobs import BlobMissing
from omnibus.bus.embedded import leases
from omnibus.bus.embedded.core import Core
from omnibus.bus.embedded.group import GroupRunner
from omnibus.bus.embedded.schema import tp_of
from omnibus.bus.embedded.state import TaskState
from omnibus.bus.embedded.table import LatestTable
from omnibus.bus.embedded.task import Input, StageTask
from omnibus.bus.embedded.txn import Batch, Txn, merged
from omnibus.bus.port import ReadTable, Record, StageSpec, TaskHealth, TaskId
from omnibus.chunks import Chunks
from omnibus.errors import Fenced, Misconfigured
from omnibus.stage.contract import Stage, Timer
from omnibus.stage.step import DATAREF, StepContext, StepResult, datarefs, due_timers, entries_of, next_due_ms, run_step

log = structlog.get_logger(__name__)
_FIRST_GUESS_US = 500.0
"""Assumed cost of a record before one was measured."""
_SWEEP_EVERY_S = 1.0
_CLOCK_LOOK_S = 0.25
"""With timers set, the clock is looked at this often: it may be stepped, or be a test's."""


class _Step:
    """A step between its computation and its commit."""

    __slots__ = ("batch", "records", "result", "task")

    def __init__(self, task: StageTask, records: list[Record]) -> None:
        self.task = task
        self.records = records
        self.result: StepResult
        self.batch: Batch


class StageRunner(GroupRunner[StageTask]):
    """One process's share of a stage. `factory` is called for every task, afresh after any failure."""

    def __init__(self, core: Core, spec: StageSpec, factory: Callable[[TaskId], Stage]) -> None:
        super().__init__(core, spec.name, spec.inputs)
        self._spec = spec
        self._factory = factory
        self._tables: dict[str, ReadTable] = {}
        self._us_per_record = _FIRST_GUESS_US
        self._turn = 0
        self._blob_slots = asyncio.Semaphore(core.limits.blob_concurrency)

    async def start(self) -> None:
        self._tables = {
            name: LatestTable(self._core.reader, self._core.catalog.topic(name)) for name in self._spec.tables
        }
        await super().start()

    def _assigned(self, partition: int, epoch: int) -> StageTask:
        return StageTask(TaskId(self.name, partition), epoch)

    def _lost(self, part: StageTask) -> None:
        part.state = "stopped"

    # --- the loop -------------------------------------------------------------------------------

    async def _work(self) -> None:
        while not self._stopping:
            self._wake.clear()
            if give_back := sorted(self._surplus & self._parts.keys()):
                await self._give_back(give_back)
            await self._open_tasks()
            if await self._round():
                await asyncio.sleep(0)
            else:
                await self._sleep(self._pause_s())

    async def _open_tasks(self) -> None:
        now = time.monotonic()
        for task in list(self._parts.values()):
            if task.state == "starting" or (task.state == "failed" and task.retry_at <= now):
                await self._open(task)

    async def _open(self, task: StageTask) -> None:
        """Fence first, then read position and state: what was read before the fence is void."""
        part = task.id.partition
        try:
            if task.fence_needed:
                task.epoch = await self._core.writer.run(partial(leases.renew, claim=self._claim, part=part))
                task.fence_needed = False
            inputs = [Input(self._core, topic, part, self._committed(topic, part)[0]) for topic in self._topics]
            backing = TaskState(self._core.reader, tp_of(self._claim.group, part), self._core.limits.state_cache_bytes)
            task.open(self._spec, self._factory(task.id), inputs, backing)
        except Exception as error:
            self._failed(task, error)

    async def _round(self) -> bool:
        """One step for every task that has something to do; False when none had."""
        now_ms = clock.now_ms()
        self._look_at_ends()
        tasks = [task for task in self._in_turn() if task.has_work(now_ms)]
        if not tasks:
            return False
        steps = await self._compute(tasks, now_ms)
        if steps:
            await self._commit(steps)
        return True

    def _in_turn(self) -> list[StageTask]:
        """All tasks, each round beginning with another one."""
        tasks = [self._parts[part] for part in sorted(self._parts)]
        self._turn += 1
        at = self._turn % max(1, len(tasks))
        return tasks[at:] + tasks[:at]

    def _look_at_ends(self) -> None:
        for index, topic in enumerate(self._topics):
            tails = self._core.reader.tails(topic.id)
            for part, task in self._parts.items():
                if task.state == "ready":
                    task.inputs[index].end = tails[part][1]

    def _pause_s(self) -> float | None:
        """Until the next timer or the next attempt of a failed task; None waits for records."""
        pauses = [max(0.0, task.retry_at - time.monotonic()) for task in self._parts.values() if task.state == "failed"]
        dues = [task.next_due for task in self._parts.values() if task.next_due is not None]
        if dues:
            pauses.append(min(_CLOCK_LOOK_S, max(0.001, (min(dues) - clock.now_ms()) / 1000)))
        return min(pauses, default=None)

    # --- computing ------------------------------------------------------------------------------

    async def _compute(self, tasks: Sequence[StageTask], now_ms: int) -> list[_Step]:
        # A task computes for one burst at the most; with a backlog a round is several, so that a commit is worth it.
        limit = max(1, min(self._spec.max_batch, int(self._core.limits.burst_ms * 1000 / self._us_per_record)))
        taken = [step for task in tasks if (step := self._take(task, limit)) is not None]
        bodies = await self._load_bodies(taken)
        done: list[_Step] = []
        breath = time.perf_counter()
        for step, loaded in zip(taken, bodies, strict=True):
            if isinstance(loaded, BaseException):
                self._failed(step.task, loaded)
            elif self._run(step, loaded, now_ms):
                done.append(step)
            if time.perf_counter() - breath > self._core.limits.burst_ms / 1000:
                await asyncio.sleep(0)
                breath = time.perf_counter()
        return await self._save_blobs(done)

    def _take(self, task: StageTask, limit: int) -> _Step | None:
        try:
            return _Step(task, task.take(limit, self._core.limits))
        except Exception as error:
            self._failed(task, error)
            return None

    def _run(self, step: _Step, bodies: dict[str, bytes], now_ms: int) -> bool:
        """Compute one step; False when it failed as a whole (a record that fails is a dead letter, not a failure)."""
        task = step.task
        began = time.perf_counter()
        try:
            due = self._due(task, now_ms)
            context = StepContext(
                task.id, self._spec, task.backing, now_ms, self._tables, bodies, check=self._core.catalog.check
            )
            share_s = self._share_of_timers_s(len(step.records))
            step.result = run_step(
                task.stage, self._spec, context, step.records, due, self._core.dead_letters, timers_s=share_s
            )
            self._sweep(task, step.result.delta, now_ms)
            step.batch = self._core.catalog.prepare(step.result.outs, checked=True)
        except Exception as error:
            self._failed(task, error)
            return False
        if count := len(step.records):
            alone = step.result.processed == count
            cost_us = (time.perf_counter() - began if alone else step.result.records_s) * 1e6 / count
            self._us_per_record += 0.2 * (cost_us - self._us_per_record)
        return True

    def _share_of_timers_s(self, records: int) -> float:
        """What the records in hand leave of the burst, half of it at the least: after an outage neither starves."""
        burst_s = self._core.limits.burst_ms / 1000
        return max(burst_s / 2, burst_s - records * self._us_per_record / 1e6)

    def _due(self, task: StageTask, now_ms: int) -> Iterable[Timer]:
        if task.next_due is None or task.next_due > now_ms:
            return ()
        return due_timers(
            task.backing, now_ms, ahead=lambda some: task.backing.read_ahead(entries_of(self._spec, some))
        )

    def _sweep(self, task: StageTask, delta: dict[bytes, bytes | None], now_ms: int) -> None:
        if time.monotonic() < task.sweep_at:
            return
        task.sweep_at = time.monotonic() + _SWEEP_EVERY_S
        for key in task.sweeper.expired(task.backing, now_ms):
            delta.setdefault(key, None)

    # --- blobs ----------------------------------------------------------------------------------

    async def _load_bodies(self, steps: list[_Step]) -> list[dict[str, bytes] | BaseException]:
        if not any(record.headers and record.header(DATAREF) for step in steps for record in step.records):
            return [{} for _ in steps]
        return await asyncio.gather(*(self._bodies_of(step) for step in steps), return_exceptions=True)

    async def _bodies_of(self, step: _Step) -> dict[str, bytes]:
        refs = datarefs(step.records)
        loaded = await asyncio.gather(*(self._load(ref) for ref in sorted(refs)))
        return {ref: body for ref, body in loaded if body is not None}

    async def _load(self, ref: str) -> tuple[str, bytes | None]:
        """A blob that is not there is left out: the record that needs it becomes a dead letter."""
        if self._core.blobs is None:
            raise Misconfigured("blobs", "a record refers to a blob, but the bus was opened without a blob store")
        async with self._blob_slots:
            try:
                return ref, await asyncio.wait_for(self._core.blobs.get(ref), self._core.limits.blob_timeout_s)
            except (BlobMissing, ValueError):
                return ref, None

    async def _save_blobs(self, steps: list[_Step]) -> list[_Step]:
        if not any(step.result.blobs for step in steps):
            return steps
        outcomes = await asyncio.gather(*(self._save_of(step) for step in steps), return_exceptions=True)
        saved: list[_Step] = []
        for step, outcome in zip(steps, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                self._failed(step.task, outcome)
            else:
                saved.append(step)
        return saved

    async def _save_of(self, step: _Step) -> None:
        await asyncio.gather(*(self._save(uri, data) for uri, data in step.result.blobs.items()))

    async def _save(self, uri: str, data: bytes | Chunks) -> None:
        if self._core.blobs is None:
            raise Misconfigured("blobs", "the stage keeps a blob, but the bus was opened without a blob store")
        async with self._blob_slots:
            await asyncio.wait_for(self._core.blobs.put(uri, data), self._core.limits.blob_timeout_s)

    # --- committing -----------------------------------------------------------------------------

    async def _commit(self, steps: list[_Step]) -> None:
        """All steps of the round as one job; when one of them is fenced, each for itself."""
        rows = sum(step.batch.cost + len(step.result.delta) for step in steps)
        outcomes = await self._core.writer.run_all([self._job(steps)], rows=rows) * len(steps)
        if len(steps) > 1 and isinstance(outcomes[0], Fenced):
            # Fenced is certain: nothing was written. Any other failure may hide a commit and is never repeated.
            outcomes = await self._core.writer.run_all([self._job([step]) for step in steps])
        for step, outcome in zip(steps, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                self._failed(step.task, outcome)
            else:
                self._committed_step(step)

    def _job(self, steps: list[_Step]) -> Callable[[Txn], None]:
        """Outputs, state, timers and positions together, behind the fence."""
        group, fence, claim = self._claim.group, self._core.fence, self._claim
        epochs = {step.task.id.partition: step.task.epoch for step in steps}
        moves = [(source.tp, source.position, None) for step in steps for source in step.task.inputs]
        deltas = {tp_of(group, step.task.id.partition): step.result.delta for step in steps}
        batch = merged([step.batch for step in steps])

        def commit(txn: Txn) -> None:
            fence(txn, claim, epochs)
            txn.append(batch)
            txn.apply_state(deltas)
            txn.move(group, moves)

        return commit

    def _committed_step(self, step: _Step) -> None:
        task = step.task
        task.backing.committed(step.result.delta)
        if any(key[0] == 1 for key in step.result.delta):
            task.next_due = next_due_ms(task.backing)
        task.last_commit_ms = clock.now_ms()
        task.failures = 0
        self.processed_total += step.result.processed
        self.dead_letters_total += len(step.result.dead)

    def _failed(self, task: StageTask, error: BaseException) -> None:
        """Throw the task away; it starts afresh after a pause, with a new fence."""
        if isinstance(error, Fenced):
            self.fenced_total += 1
            self._beat_now.set()
        least, most = self._core.limits.restart_backoff_s
        pause = min(most, least * 2**task.failures) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret
        task.fail(f"{type(error).__name__}: {error}", pause)
        self.restarts_total += 1
        log.log(
            logging.INFO if isinstance(error, Fenced) else logging.WARNING,
            "task_failed",
            stage=self.name,
            partition=task.id.partition,
            reason=task.reason,
            retry_in_s=round(pause, 2),
        )

    # --- health ---------------------------------------------------------------------------------

    def _health_of(self, partition: int, lag: int, oldest_ms: int) -> TaskHealth:
        task = self._parts[partition]
        return TaskHealth(
            task=task.id,
            state=task.state,
            lag=lag,
            oldest_ms=oldest_ms,
            last_commit_ms=task.last_commit_ms,
            reason=task.reason,
        )
