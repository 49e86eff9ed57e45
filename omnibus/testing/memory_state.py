"""A task's state in memory, and a one-call run of a stage: for tests and benchmarks of pure stage code."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence

from omnibus import clock
from omnibus.bus.port import ReadTable, Record, StageSpec, TaskId
from omnibus.stage.contract import Stage
from omnibus.stage.step import StepContext, StepResult, datarefs, due_timers, run_step


class MemoryBacking:
    """The committed state of one task as a sorted dictionary (the `Backing` of `omnibus.stage.step`)."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def scan(self, start: bytes, end: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """Entries with start <= key < end, in key order."""
        first = bisect.bisect_left(self._keys, start)
        last = min(bisect.bisect_left(self._keys, end), first + limit)
        return [(key, self._values[key]) for key in self._keys[first:last]]

    def apply(self, delta: Mapping[bytes, bytes | None]) -> None:
        """Commit what a step changed; None deletes."""
        for key, value in delta.items():
            if value is None:
                self._remove(key)
            else:
                if key not in self._values:
                    bisect.insort(self._keys, key)
                self._values[key] = value

    def _remove(self, key: bytes) -> None:
        if self._values.pop(key, None) is not None:
            del self._keys[bisect.bisect_left(self._keys, key)]


def run(
    stage: Stage,
    spec: StageSpec,
    *records: Record,
    backing: MemoryBacking | None = None,
    now_ms: int | None = None,
    tables: Mapping[str, ReadTable] | None = None,
    bodies: Mapping[str, bytes] | None = None,
    timers: int = 1_000,
    partition: int = 0,
) -> StepResult:
    """One committed step: the timers due at `now_ms` (the clock's time by default), then `records`.

    `backing` keeps state from call to call; a fresh one is used when none is given. `bodies` are the blobs that the
    records refer to. `timers` bounds how many fire.
    """
    state = MemoryBacking() if backing is None else backing
    at = clock.now_ms() if now_ms is None else now_ms
    missing = datarefs(records) - set(bodies or {})
    if missing:
        raise KeyError(f"bodies lacks {sorted(missing)}")
    context = StepContext(TaskId(spec.name, partition), spec, state, at, tables or {}, bodies or {})
    result = run_step(stage, spec, context, records, due_timers(state, at, timers), "dead-letters")
    state.apply(result.delta)
    return result
