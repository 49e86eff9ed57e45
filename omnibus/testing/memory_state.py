"""The state of one task in memory, to run stages in tests and benchmarks without a bus."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence

from omnibus.bus.port import Out, ReadTable, Record, StageSpec, TaskId
from omnibus.stage.contract import Stage
from omnibus.stage.step import StepContext, StepResult, due_timers, run_step


class MemoryBacking:
    """A `Backing` in a sorted dictionary; `apply` is the commit."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def scan(self, start: bytes, end: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        first = bisect_left(self._keys, start)
        last = bisect_left(self._keys, end, lo=first)
        return [(key, self._values[key]) for key in self._keys[first : min(last, first + limit)]]

    def apply(self, delta: Mapping[bytes, bytes | None]) -> None:
        """Commit the writes of a step."""
        for key, value in delta.items():
            if value is None:
                if self._values.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
            else:
                if key not in self._values:
                    insort(self._keys, key)
                self._values[key] = value

    def __len__(self) -> int:
        return len(self._values)


class StageRun:
    """Runs a stage step by step over its own memory, and keeps what it has emitted."""

    def __init__(self, stage: Stage, spec: StageSpec, tables: Mapping[str, ReadTable] | None = None) -> None:
        self._stage = stage
        self._spec = spec
        self._tables = tables or {}
        self.backing = MemoryBacking()
        self.blobs: dict[str, bytes] = {}
        self.emitted: list[Out] = []
        self.dead: list[Out] = []
        self._offset = 0

    def step(self, *records: Record, now_ms: int) -> StepResult:
        """One committed step over `records` and the timers due at `now_ms`."""
        context = StepContext(TaskId(self._spec.name, 0), self._spec, self.backing, now_ms, self._tables, self.blobs)
        due = due_timers(self.backing, now_ms, 1_000)
        result = run_step(self._stage, self._spec, context, records, due, "omnibus.dead-letters")
        self.backing.apply(result.delta)
        self.blobs.update(result.blobs)
        self.dead.extend(result.dead)
        self.emitted.extend(out for out in result.outs if out not in result.dead)
        return result

    def record(self, out: Out) -> Record:
        """`out` as it would be read back, at the next offset."""
        self._offset += 1
        return Record(out.topic, 0, self._offset, out.ts_ms or 0, out.key, out.value, out.headers)
