"""One step: stage code over a batch, in a memory overlay, with an undo for each record.

Both engines call `run_step` and then commit what it returns in one transaction. The keyed stores and the timers of a
task share one flat, ordered key space: the first byte says which store an entry belongs to.
"""

from __future__ import annotations

import heapq
import math
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from omnibus.blobs import blob_uri
from omnibus.bus.port import Headers, Out, ReadTable, Record, StageSpec, TaskId
from omnibus.chunks import Chunks
from omnibus.errors import InvalidPayload
from omnibus.stage.contract import Stage, Timer
from omnibus.stage.store.merge import scan_changed

DATAREF = "ce_dataref"

_DUE = b"\x01"  # due time, kind, key -> payload
_NAMED = b"\x02"  # kind, key -> due time
_FIRST_STORE = 0x10
_TIMERS_PER_STEP = 1_000
"""At most as many fire in one step; how many do is a question of time."""
_TIMERS_AT_ONCE = 64
_TTL_BYTES = 4


class Backing(Protocol):
    """The committed state of one task, ordered by key. Reads only; the engine applies `StepResult.delta`."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, start: bytes, end: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """Entries with start <= key < end, in key order."""
        ...


class StepResult(msgspec.Struct):
    """What a step wants committed. `delta` maps state keys to values (None deletes); `records_s` went into records."""

    outs: list[Out]
    delta: dict[bytes, bytes | None]
    blobs: dict[str, bytes | Chunks]
    processed: int
    dead: list[Out]
    records_s: float = 0.0


def prefix_end(prefix: bytes) -> bytes:
    """The smallest key greater than every key that starts with `prefix` (which must not be all 0xFF)."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1])


def datarefs(records: Sequence[Record]) -> set[str]:
    """The blobs that must be loaded before these records can be processed."""
    return {ref.decode("utf-8", "replace") for record in records if (ref := record.header(DATAREF)) is not None}


# --- timers -------------------------------------------------------------------------------------


def _named_key(kind: str, key: bytes) -> bytes:
    name = kind.encode()
    return _NAMED + bytes([len(name)]) + name + key


def _due_key(due_ms: int, kind: str, key: bytes) -> bytes:
    name = kind.encode()
    return _DUE + due_ms.to_bytes(8, "big") + bytes([len(name)]) + name + key


def _timer_of(entry: bytes, payload: bytes) -> Timer:
    size = entry[9]
    return Timer(entry[10 : 10 + size].decode(), entry[10 + size :], int.from_bytes(entry[1:9], "big"), payload)


def due_timers(
    backing: Backing,
    now_ms: int,
    limit: int = _TIMERS_PER_STEP,
    ahead: Callable[[Sequence[Timer]], None] | None = None,
) -> Iterator[Timer]:
    """The timers due at `now_ms`, in due order, at most `limit`; looked for as they are asked for.

    `ahead` is told some before they come, for a backing that can read what they will ask for together.
    """
    start, end = _DUE, _DUE + (now_ms + 1).to_bytes(8, "big")
    while limit > 0:
        found = backing.scan(start, end, min(limit, _TIMERS_AT_ONCE))
        timers = [_timer_of(entry, payload) for entry, payload in found]
        if ahead is not None:
            ahead(timers)
        yield from timers
        limit = limit - len(found) if len(found) == _TIMERS_AT_ONCE else 0
        start = found[-1][0] + b"\x00" if found else end


def entries_of(spec: StageSpec, timers: Sequence[Timer]) -> list[bytes]:
    """The state keys that these timers will probably ask for."""
    prefixes = [bytes([_FIRST_STORE + index]) for index, store in enumerate(spec.stores) if store.of_timers]
    return [prefix + timer.key for prefix in prefixes for timer in timers]


def next_due_ms(backing: Backing) -> int | None:
    """When the earliest timer is due, None when there is none."""
    for key, _ in backing.scan(_DUE, _NAMED, 1):
        return int.from_bytes(key[1:9], "big")
    return None


# --- the overlay --------------------------------------------------------------------------------


class _Missing:
    pass


_MISSING = _Missing()


class Overlay:
    """Uncommitted writes over the committed state, with an undo back to the last mark."""

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self.delta: dict[bytes, bytes | None] = {}
        self._journal: list[tuple[bytes, bytes | _Missing | None]] = []

    def get(self, key: bytes) -> bytes | None:
        value = self.delta.get(key, _MISSING)
        return self._backing.get(key) if isinstance(value, _Missing) else value

    def set(self, key: bytes, value: bytes | None) -> None:
        self._journal.append((key, self.delta.get(key, _MISSING)))
        self.delta[key] = value

    def mark(self) -> None:
        """Everything before this is kept."""
        self._journal.clear()

    def undo(self) -> None:
        """Take back every write since the last mark."""
        for key, before in reversed(self._journal):
            if isinstance(before, _Missing):
                del self.delta[key]
            else:
                self.delta[key] = before
        self._journal.clear()

    def scan(self, start: bytes, end: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """Entries in key order; own writes hide committed ones."""
        return scan_changed(self._backing.scan, self.delta, start, end, limit)


class OverlayStore:
    """A named store of a task, over the overlay. With a ttl, values carry their expiry in front."""

    def __init__(self, overlay: Overlay, index: int, ttl_s: int | None, now_ms: int) -> None:
        self._overlay = overlay
        self._prefix = bytes([_FIRST_STORE + index])
        self._ttl_s = ttl_s
        self._now_s = now_ms // 1000

    def get(self, key: bytes) -> bytes | None:
        value = self._overlay.get(self._prefix + key)
        return value if value is None or self._ttl_s is None else self._alive(value)

    def put(self, key: bytes, value: bytes) -> None:
        if self._ttl_s is not None:
            value = (self._now_s + self._ttl_s).to_bytes(_TTL_BYTES, "big") + value
        self._overlay.set(self._prefix + key, value)

    def delete(self, key: bytes) -> None:
        self._overlay.set(self._prefix + key, None)

    def scan(self, prefix: bytes = b"", limit: int = 1_000) -> Sequence[tuple[bytes, bytes]]:
        start = self._prefix + prefix
        entries = self._overlay.scan(start, prefix_end(start), limit)
        if self._ttl_s is None:
            return [(key[1:], value) for key, value in entries]
        return [(key[1:], alive) for key, value in entries if (alive := self._alive(value)) is not None]

    def _alive(self, value: bytes) -> bytes | None:
        return value[_TTL_BYTES:] if int.from_bytes(value[:_TTL_BYTES], "big") > self._now_s else None


class StepContext:
    """The Ctx of one step."""

    def __init__(
        self,
        task: TaskId,
        spec: StageSpec,
        backing: Backing,
        now_ms: int,
        tables: Mapping[str, ReadTable],
        bodies: Mapping[str, bytes],
        check: Callable[[Out], None] | None = None,
    ) -> None:
        """`check` raises for a record no topic would take: then the call that emits it fails, not the whole step."""
        self.task = task
        self.now_ms = now_ms
        self.outs: list[Out] = []
        self.dead: list[tuple[Record, Exception]] = []
        self.blobs: dict[str, bytes | Chunks] = {}
        self.overlay = Overlay(backing)
        self._tables = tables
        self._bodies = bodies
        self._check = check
        self._stores = {
            store.name: OverlayStore(self.overlay, index, store.ttl_s, now_ms)
            for index, store in enumerate(spec.stores)
        }
        self._mark = 0
        self._ringing = False
        self._set: list[bytes] = []

    def emit(self, out: Out) -> None:
        if self._check is not None:
            self._check(out)
        self.outs.append(out)

    def store(self, name: str) -> OverlayStore:
        return self._stores[name]

    def timer_set(self, kind: str, key: bytes, due_ms: int, payload: bytes = b"") -> None:
        self.timer_cancel(kind, key)
        entry = _due_key(due_ms, kind, key)
        self.overlay.set(_named_key(kind, key), entry[1:9])
        self.overlay.set(entry, payload)
        if self._ringing and due_ms <= self.now_ms:
            heapq.heappush(self._set, entry)

    def timer_cancel(self, kind: str, key: bytes) -> None:
        named = _named_key(kind, key)
        due = self.overlay.get(named)
        if due is not None:
            self.overlay.set(named, None)
            self.overlay.set(_due_key(int.from_bytes(due, "big"), kind, key), None)

    def timer_due(self, kind: str, key: bytes) -> int | None:
        """When the timer of that kind and key is due (milliseconds), None when it is not set."""
        due = self.overlay.get(_named_key(kind, key))
        return None if due is None else int.from_bytes(due, "big")

    def ring(self, due: Iterable[Timer]) -> Iterator[Timer]:
        """Take out the timers of `due`, which are in due order, one by one.

        One that is cancelled or moved by an earlier one's firing does not come; one that is set by it for a time before
        the last of `due` comes in its place. What is not asked for stays set.
        """
        self._ringing = True
        for timer in due:
            entry = _due_key(timer.due_ms, timer.kind, timer.key)
            while self._set and self._set[0] < entry:
                yield from self._taken(heapq.heappop(self._set), None)
            yield from self._taken(entry, timer)
        self._ringing = False

    def _taken(self, entry: bytes, timer: Timer | None) -> Iterator[Timer]:
        """The timer of an entry, no longer set; none when it was not set any more."""
        payload = self.overlay.delta.get(entry, _MISSING)
        if isinstance(payload, bytes):
            timer = _timer_of(entry, payload)
        elif payload is None:
            timer = None
        if timer is not None:
            self.overlay.set(_named_key(timer.kind, timer.key), None)
            self.overlay.set(entry, None)
            yield timer

    def table(self, topic: str) -> ReadTable:
        return self._tables[topic]

    def body(self, record: Record) -> bytes:
        ref = record.header(DATAREF)
        if ref is None:
            return record.value or b""
        body = self._bodies.get(ref.decode("utf-8", "replace"))
        if body is None:
            raise InvalidPayload(DATAREF, f"the blob store has no {ref.decode('utf-8', 'replace')}")
        return body

    def save_blob(self, data: bytes | Chunks) -> str:
        uri = blob_uri(data)
        self.blobs[uri] = data
        return uri

    def dead_letter(self, record: Record, error: Exception) -> None:
        self.dead.append((record, error))

    def mark(self) -> None:
        self._mark = len(self.outs)
        self.overlay.mark()

    def undo(self) -> None:
        del self.outs[self._mark :]
        self.overlay.undo()


# --- the step -----------------------------------------------------------------------------------


def dead_letter(topic: str, stage: str, record: Record, error: Exception, attempts: int = 1) -> Out:
    """The dead letter of a record: its own key, value and headers, and why it could not be processed."""
    headers: Headers = (
        *(pair for pair in record.headers if not pair[0].startswith("dead_")),
        ("dead_stage", stage.encode()),
        ("dead_error", type(error).__name__.encode()),
        ("dead_reason", str(error)[:2_000].encode("utf-8", "replace")),
        ("dead_attempts", str(attempts).encode()),
        ("dead_topic", record.topic.encode()),
        ("dead_partition", str(record.partition).encode()),
        ("dead_offset", str(record.offset).encode()),
    )
    if not isinstance(error, InvalidPayload):
        trace = "".join(traceback.format_exception(error, limit=-8))
        headers = (*headers, ("dead_traceback", trace[-6_000:].encode("utf-8", "replace")))
    return Out(topic=topic, key=record.key, value=record.value, headers=headers, ts_ms=record.ts_ms)


def run_step(
    stage: Stage,
    spec: StageSpec,
    context: StepContext,
    records: Sequence[Record],
    due: Iterable[Timer],
    dead_letters: str,
    timers_s: float = math.inf,
) -> StepResult:
    """Run due timers, then records, through the stage; a call that raises is undone and dead-lettered.

    After `timers_s` no further timer begins (one always does): the input has its share of the time, and the others
    stay set. Pure but for the stage's own state in `context`. Nothing of the result is visible before the engine
    commits it.
    """
    fired = _fire(stage, context, due, timers_s)
    began = time.perf_counter()
    for record in records:
        context.mark()
        try:
            stage.process(record, context)
        except Exception as error:
            context.undo()
            context.dead_letter(record, error)
    records_s = time.perf_counter() - began
    dead = [dead_letter(dead_letters, spec.name, record, error) for record, error in context.dead]
    return StepResult(
        outs=context.outs + dead,
        delta=context.overlay.delta,
        blobs=context.blobs,
        processed=len(records) + fired,
        dead=dead,
        records_s=records_s,
    )


def _fire(stage: Stage, context: StepContext, due: Iterable[Timer], seconds: float) -> int:
    """Fire due timers for about so long; returns how many."""
    fired = 0
    ends = time.perf_counter() + seconds
    for timer in context.ring(due):
        context.mark()
        try:
            stage.fire(timer, context)
        except Exception as error:
            context.undo()
            context.dead_letter(_record_of(timer, context.task), error)
        fired += 1
        if fired >= _TIMERS_PER_STEP or time.perf_counter() >= ends:
            break
    return fired


def _record_of(timer: Timer, task: TaskId) -> Record:
    """A timer as a record, so that it can be dead-lettered."""
    return Record(f"timer:{timer.kind}", task.partition, 0, timer.due_ms, timer.key, timer.payload)


class Sweeper:
    """Deletes expired entries of stores with a ttl, a few at a time, so that no step does much of it."""

    def __init__(self, spec: StageSpec, batch: int = 200) -> None:
        self._prefixes = [bytes([_FIRST_STORE + i]) for i, store in enumerate(spec.stores) if store.ttl_s is not None]
        self._batch = batch
        self._at: bytes | None = None
        self._turn = 0

    def expired(self, backing: Backing, now_ms: int) -> list[bytes]:
        """The expired keys among the next few; the walk starts over when it has seen all."""
        if not self._prefixes:
            return []
        prefix = self._prefixes[self._turn % len(self._prefixes)]
        entries = backing.scan(self._at or prefix, prefix_end(prefix), self._batch)
        if len(entries) < self._batch:
            self._at, self._turn = None, self._turn + 1
        else:
            self._at = entries[-1][0] + b"\x00"
        now_s = now_ms // 1000
        return [key for key, value in entries if int.from_bytes(value[:_TTL_BYTES], "big") <= now_s]
