"""What stage code and sink code promise, and what they may use.

A **stage** is pure: what it emits depends only on the record, its state, its tables and ``ctx.now_ms``. The engine
calls `process` for every record of the partition in order, `fire` for every timer that is due, and commits a batch of
such calls as one step. A call that raises is undone (outputs, state and timers of that call only) and its record goes
to the dead letters in the same step.

A **sink** does I/O: the engine calls `deliver` and moves the position only past records it has acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from omnibus.bus.port import Out, ReadTable, Record, TaskId
from omnibus.chunks import Chunks


class Timer(msgspec.Struct, frozen=True, gc=False):
    """A timer that is due: `kind` says whose, `key` what for. `due_ms` may be long past after an outage."""

    kind: str
    key: bytes
    due_ms: int
    payload: bytes = b""


class Store(Protocol):
    """A keyed store of one task; reads see the task's own uncommitted writes."""

    def get(self, key: bytes) -> bytes | None: ...

    def put(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...

    def scan(self, prefix: bytes = b"", limit: int = 1_000) -> Sequence[tuple[bytes, bytes]]:
        """Entries whose key starts with `prefix`, in key order, at most `limit`."""
        ...


class Ctx(Protocol):
    """What a stage may use inside a step."""

    task: TaskId
    now_ms: int
    """One reading of the clock for the whole step (milliseconds since the epoch)."""

    def emit(self, out: Out) -> None:
        """Write a record when the step commits."""
        ...

    def store(self, name: str) -> Store:
        """A store that the stage's spec declares."""
        ...

    def dead_letter(self, record: Record, error: Exception) -> None:
        """Dead-letter `record` but keep what this call has done so far (raising would undo it)."""
        ...

    def timer_set(self, kind: str, key: bytes, due_ms: int, payload: bytes = b"") -> None:
        """Set or move the timer of that kind and key."""
        ...

    def timer_cancel(self, kind: str, key: bytes) -> None:
        """Cancel it; cancelling one that is not set does nothing."""
        ...

    def timer_due(self, kind: str, key: bytes) -> int | None:
        """When the timer of that kind and key is due (milliseconds), None when it is not set."""
        ...

    def table(self, topic: str) -> ReadTable:
        """A global table that the stage's spec declares."""
        ...

    def body(self, record: Record) -> bytes:
        """The record's value, or the blob its ``ce_dataref`` header stands for (loaded before the step)."""
        ...

    def save_blob(self, data: bytes | Chunks) -> str:
        """Keep `data` by content and return its URI; it is stored before the step commits, which may read it again."""
        ...


class Stage(Protocol):
    """Stage code for one task (one partition). A new instance is made whenever the task starts afresh."""

    def process(self, record: Record, ctx: Ctx) -> None: ...

    def fire(self, timer: Timer, ctx: Ctx) -> None: ...


class SinkHandler(Protocol):
    """Effectful code behind a sink or worker.

    `deliver` returns when every record is dealt with; the records it returns are written in the transaction that
    moves the position. To refuse part of a batch, raise: TryAgain keeps all of the call's records for later (records
    of other keys go on); Refused and RecipientGone dead-letter (a handler that reports failures itself catches them);
    Misconfigured pauses the sink and tells the operator; anything else counts as a bug and dead-letters.
    """

    async def deliver(self, records: Sequence[Record]) -> Sequence[Out]: ...
