"""The bus contract. Two engines keep it (embedded SQLite, Kafka); one conformance suite proves both.

In one paragraph: a **topic** is a fixed number of append-only partitions; a **publisher** appends from outside
and returns only when the data is durable; a **stage** is pure synchronous code which the engine runs over the
records of a partition so that outputs, state, timers and input position commit together or not at all; a **sink**
is effectful code that sees every record at least once, in order for each key, and never passes one that is not
acknowledged; a **global table** is a read-only copy of a compacted topic.

Invariants, each one a conformance test, on both engines:

 1. Atomic step: after any crash {outputs, state, timers, position} are of the same set of completed steps.
 2. Fence: a step begun by an owner that has been superseded never becomes visible.
 3. Fence before read: state and position handed to a task were read after its fence was taken.
 4. Order: offsets strictly increase within a partition (gaps allowed); emitted order in a step is kept.
 5. No early visibility: no reader sees records of an uncommitted or failed step.
 6. Durability on return: what publish() or a commit returned survives kill -9 of everything.
 7. Unknown is not failed: an unknown outcome is resolved by reading again, never by repeating blindly.
 8. Any failed output fails the step.
 9. Same key, same partition, on both engines (murmur2 of the key).
10. State round trip: restored state equals the state before; deletes stay deleted.
11. Timers fire exactly once, never early, survive an owner change; cancelled ones never fire.
12. Co-partitioning: all inputs of a stage have equal partition counts, and task p owns partition p of each.
13. Poison isolation: a record whose processing raises goes to the dead letters in the same step; others proceed.
14. Sink: an un-acknowledged record is delivered again; the position never passes it; its id never changes.
15. Bounded stop: drain/close return by the deadline and leave nothing behind that can still write.
16. Back-pressure: memory for a task is bounded whatever the lag.
17. No silent reset: a position that is out of range is an error, never "latest".
18. Global table: versions only grow; loaded before the first step.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from omnibus.stage.contract import SinkHandler, Stage

Headers = tuple[tuple[str, bytes], ...]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record as read from a topic."""

    topic: str
    partition: int
    offset: int
    ts_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> bytes | None:
        """The first header of that name, or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Out(msgspec.Struct, gc=False):
    """One record to be written. Without `partition`, the key decides (murmur2); a null key goes round robin."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    ts_ms: int | None = None


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where a published record landed."""

    topic: str
    partition: int
    offset: int


class TaskId(msgspec.Struct, frozen=True):
    """One partition of one stage."""

    stage: str
    partition: int


class TopicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic must be. ``table`` topics are compacted: the latest value for each key stays."""

    name: str
    partitions: int
    kind: Literal["stream", "table"] = "stream"
    retention_ms: int | None = None
    max_bytes: int = 1_000_000


class StoreSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A keyed store of a stage. With `ttl_s`, entries not written for that many seconds are swept away lazily.

    With `of_timers` its keys are those of the timers: the entries of timers that are due may be read together.
    """

    name: str
    ttl_s: int | None = None
    of_timers: bool = False


class StageSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine must know of a stage: its inputs (co-partitioned), stores, tables and pace."""

    name: str
    inputs: tuple[str, ...]
    stores: tuple[StoreSpec, ...] = ()
    tables: tuple[str, ...] = ()
    commit_interval_ms: int = 100
    max_batch: int = 500


class SinkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine must know of a sink.

    `by_key`: every call of the handler holds records of one key, up to `concurrency` keys at once; otherwise a call
    holds any keys in partition order, one call at a time for each partition. `window` bounds how far (records for
    each partition) a slow key lets the others run ahead. `max_attempts` then dead-letters; None tries for ever.
    Records that `wants` says no to are passed without a call, and their position is kept soon after, not at once.
    """

    name: str
    inputs: tuple[str, ...]
    by_key: bool = True
    max_batch: int = 1
    concurrency: int = 16
    window: int = 1_000
    max_attempts: int | None = None
    backoff_s: tuple[float, float] = (0.5, 300.0)
    wants: Callable[[Record], bool] | None = None


TaskState = Literal["starting", "restoring", "ready", "paused", "failed", "stopped"]


class TaskHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one task is. `lag` counts records not yet processed; `oldest_ms` is the age of the oldest of them."""

    task: TaskId
    state: TaskState
    lag: int
    oldest_ms: int = 0
    last_commit_ms: int | None = None
    reason: str | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How one runner is: its tasks, and counters since it started."""

    tasks: tuple[TaskHealth, ...]
    fenced_total: int = 0
    restarts_total: int = 0
    processed_total: int = 0
    dead_letters_total: int = 0

    @property
    def ready(self) -> bool:
        """True when no task is starting, restoring or failed (owning none is ready: others own them)."""
        return all(task.state in ("ready", "paused") for task in self.tasks)


class Publisher(Protocol):
    """Appends from outside the stages. Safe to call concurrently; calls are committed together where they can be."""

    async def publish(self, outs: Sequence[Out]) -> Sequence[Position]:
        """Append all of `outs` and return when they are durable.

        Raises PublishRejected (none stored), PublishUnknown (send again with the same ids), Overloaded (the bounded
        queue is full; nothing stored).
        """
        ...

    async def publish_with_cursor(self, outs: Sequence[Out], source: str, cursor: bytes) -> None:
        """Append `outs` and move the cursor of `source` in one transaction. Raises Fenced if `source` has moved."""
        ...

    async def cursor(self, source: str) -> bytes | None:
        """Take over `source` (an older instance is fenced from here on) and return its cursor, None at first."""
        ...

    async def close(self) -> None:
        """Finish what was accepted; further calls raise PublishRejected."""
        ...


class ReadTable(Protocol):
    """A read-only view of a compacted topic, loaded before it is handed out."""

    def get(self, key: bytes) -> bytes | None:
        """The latest value, or None."""
        ...

    def scan(self, prefix: bytes = b"", limit: int = 1_000) -> Sequence[tuple[bytes, bytes]]:
        """Entries whose key starts with `prefix`, in key order."""
        ...


class Runner(Protocol):
    """A running stage or sink: owns some of the partitions, shares the rest with other processes."""

    async def start(self) -> None:
        """Begin; returns at once, work goes on in the background."""
        ...

    async def drain(self, deadline_s: float) -> None:
        """Finish the step in hand, release the partitions and stop, at the latest after `deadline_s` seconds."""
        ...

    @property
    def health(self) -> Health: ...


class Bus(Protocol):
    """One installation's bus. Open it, ensure the topics, then publish, run and read."""

    async def open(self) -> None: ...

    async def close(self, deadline_s: float = 10.0) -> None:
        """Stop every runner and publisher; returns by the deadline."""
        ...

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is missing. Raises TopicMismatch when one exists with another count or policy."""
        ...

    async def topics(self) -> Sequence[TopicSpec]:
        """The topics that exist."""
        ...

    def publisher(self, name: str) -> Publisher: ...

    def run_stage(self, spec: StageSpec, task: Callable[[TaskId], Stage]) -> Runner:
        """A runner that calls `task` once for every partition it gets, and afresh after any failure."""
        ...

    def run_sink(self, spec: SinkSpec, handler: SinkHandler) -> Runner: ...

    async def global_table(self, topic: str) -> ReadTable:
        """Returns when the table is loaded to the end seen at the time of the call.

        Whoever has seen a record of a commit, in whatever topic, finds that commit's records in a table asked for
        after that, if it was open before.
        """
        ...

    async def read(self, topic: str, partition: int, offset: int, limit: int = 500) -> Sequence[Record]:
        """Committed records from `offset` on, for people and tools; takes part in no group."""
        ...

    def follow(self, topic: str, offsets: Mapping[int, int] | None = None) -> AsyncIterator[Sequence[Record]]:
        """Committed records as they come, of every partition, from these offsets on (default: from the end of now).

        Takes part in no group: every follower sees everything. For live views (`omnibus tail`, web chat).
        """
        ...

    async def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        """For every partition: the first offset there is and the next one to be written."""
        ...

    async def lag(self, group: str) -> Mapping[tuple[str, int], int]:
        """Records behind, for every (topic, partition) of a stage or sink; 0 when caught up."""
        ...
