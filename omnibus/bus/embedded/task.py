"""One partition of one stage while this process owns it: its input, its state, its place in the log."""

from __future__ import annotations

import time
from collections import deque

from omnibus.bus.embedded.catalog import Topic
from omnibus.bus.embedded.core import Core
from omnibus.bus.embedded.limits import Limits
from omnibus.bus.embedded.schema import tp_of
from omnibus.bus.embedded.state import TaskState
from omnibus.bus.port import Record, StageSpec, TaskId
from omnibus.bus.port import TaskState as State
from omnibus.errors import OutOfRange
from omnibus.stage.contract import Stage
from omnibus.stage.step import DATAREF, Sweeper, next_due_ms


class Input:
    """One input topic of a task: records read ahead, and the offset after the last one processed."""

    def __init__(self, core: Core, topic: Topic, partition: int, position: int) -> None:
        self._core = core
        self.topic = topic
        self.tp = tp_of(topic.id, partition)
        self._partition = partition
        self.position = position
        self._fetched = position
        self.end = position
        self._ahead: deque[Record] = deque()

    def waiting(self) -> bool:
        return bool(self._ahead) or self.end > self._fetched

    def head(self, limit: int) -> Record | None:
        """The next record, read from the log when none is at hand; None at the end."""
        if not self._ahead and self.end > self._fetched:
            self._fetch(limit)
        return self._ahead[0] if self._ahead else None

    def take(self) -> Record:
        record = self._ahead.popleft()
        self.position = record.offset + 1
        return record

    def _fetch(self, limit: int) -> None:
        records = self._core.reader.records(
            self.topic.spec.name, self.tp, self._fetched, limit, self._core.limits.fetch_bytes
        )
        if not records or records[0].offset != self._fetched:
            self._check_nothing_is_lost()
        self._ahead.extend(records)
        self._fetched = records[-1].offset + 1 if records else self.end
        if not records:
            self.position = self._fetched

    def _check_nothing_is_lost(self) -> None:
        """A gap is right in a table topic (a newer record took the place); elsewhere retention was faster than us."""
        first, _ = self._core.reader.tails(self.topic.id)[self._partition]
        if first > self._fetched:
            raise OutOfRange(
                f"{self.topic.spec.name}[{self._partition}] begins at {first} now, "
                f"records from {self._fetched} on were deleted by retention before they were processed"
            )


class StageTask:
    """Made when a partition is assigned or afresh after a failure; thrown away after any failure."""

    def __init__(self, task: TaskId, epoch: int) -> None:
        self.id = task
        self.epoch = epoch
        self.state: State = "starting"
        self.reason: str | None = None
        self.failures = 0
        self.retry_at = 0.0
        self.fence_needed = False
        self.inputs: list[Input] = []
        self.next_due: int | None = None
        self.last_commit_ms: int | None = None
        self.sweep_at = 0.0
        self.stage: Stage
        self.backing: TaskState
        self.sweeper: Sweeper

    def open(self, spec: StageSpec, stage: Stage, inputs: list[Input], backing: TaskState) -> None:
        """Begin with state and positions that were read after the lease was taken."""
        self.stage = stage
        self.inputs = inputs
        self.backing = backing
        self.sweeper = Sweeper(spec)
        self.next_due = next_due_ms(backing)
        self.state, self.reason = "ready", None

    def fail(self, reason: str, pause_s: float) -> None:
        """Forget everything read; the next attempt takes a new epoch first."""
        self.state, self.reason = "failed", reason
        self.failures += 1
        self.retry_at = time.monotonic() + pause_s
        self.fence_needed = True
        self.inputs = []
        self.next_due = None

    def has_work(self, now_ms: int) -> bool:
        if self.state != "ready":
            return False
        return any(source.waiting() for source in self.inputs) or (
            self.next_due is not None and self.next_due <= now_ms
        )

    def take(self, limit: int, limits: Limits) -> list[Record]:
        """The next records of all inputs, oldest first; equal times in the order the stage names its inputs.

        Fewer than `limit` when they are large, or refer to many blobs, all of which a step holds in memory.
        """
        taken: list[Record] = []
        size, blobs = 0, 0
        while len(taken) < limit and size < limits.fetch_bytes and blobs < limits.blobs_per_step:
            best: Input | None = None
            best_ts = 0
            for source in self.inputs:
                head = source.head(limit)
                if head is not None and (best is None or head.ts_ms < best_ts):
                    best, best_ts = source, head.ts_ms
            if best is None:
                break
            record = best.take()
            taken.append(record)
            size += len(record.value or b"")
            blobs += bool(record.headers) and record.header(DATAREF) is not None
        return taken
