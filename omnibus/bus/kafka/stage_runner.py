"""Runs a stage on Kafka: read, step, commit, for every partition this process owns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from omnibus import clock
from omnibus.blobs import BlobMissing
from omnibus.bus.kafka.changelog import Place
from omnibus.bus.kafka.core import Core
from omnibus.bus.kafka.fetch import size_of
from omnibus.bus.kafka.group import GroupRunner, Part
from omnibus.bus.kafka.pace import Pace
from omnibus.bus.kafka.strand import Strand, Strands
from omnibus.bus.kafka.table import Tables
from omnibus.bus.port import ReadTable, Record, StageSpec, TaskId
from omnibus.chunks import Chunks
from omnibus.errors import Misconfigured
from omnibus.stage.contract import Stage, Timer
from omnibus.stage.step import DATAREF, StepContext, StepResult, Sweeper, datarefs, due_timers, next_due_ms, run_step

_FIRST_GUESS_US = 200.0
_SWEEP_EVERY_S = 1.0
_CLOCK_LOOK_S = 0.25
"""With timers set, the clock is looked at this often: it may be stepped, or be a test's."""
_IDLE_S = 5.0
"""A position that moved over markers alone is kept after this long without records."""


class StagePart(Part):
    """One partition of one stage. What `begin` makes is thrown away after any failure."""

    stage: Stage
    sweeper: Sweeper
    next_due: int | None = None
    sweep_at = 0.0
    idle_since = 0.0

    def begin(self, stage: Stage, spec: StageSpec) -> None:
        self.stage = stage
        self.sweeper = Sweeper(spec)
        self.next_due = next_due_ms(self.changelog.store)
        self.idle_since = time.monotonic()
        self.state, self.reason = "ready", None

    def take(self, limit: int, most: int) -> list[Record]:
        """The next records of all inputs, at most `limit` and about `most` bytes, oldest first.

        Equal times go in the order the stage names its inputs.
        """
        taken: list[Record] = []
        size = 0
        while len(taken) < limit and size < most:
            heads = [source for source in self.sources if source.ahead]
            if not heads:
                break
            source = heads[0] if len(heads) == 1 else min(heads, key=lambda source: source.ahead[0].ts_ms)
            record = source.take()
            taken.append(record)
            size += size_of(record)
        return taken

    def waiting(self) -> int:
        """Records at hand. Raises what a source that was given up on says."""
        for source in self.sources:
            if source.error is not None and not source.ahead:
                raise source.error
        return sum(len(source.ahead) for source in self.sources)

    def positions(self) -> dict[str, Place]:
        return {source.tp[0]: Place(source.consumed) for source in self.sources}


class StageRunner(GroupRunner[StagePart]):
    """One process's share of a stage. `factory` is called for every task, afresh after any failure."""

    def __init__(
        self, core: Core, spec: StageSpec, factory: Callable[[TaskId], Stage], tables: Tables, pace: Pace
    ) -> None:
        super().__init__(core, spec.name, spec.inputs, pace)
        self._spec = spec
        self._factory = factory
        self._all_tables = tables
        self._tables: dict[str, ReadTable] = {}
        self._us_per_record = _FIRST_GUESS_US
        self._blob_slots = asyncio.Semaphore(core.limits.blob_concurrency)

    async def start(self) -> None:
        self._tables = {name: await self._all_tables.get(name) for name in self._spec.tables}
        await super().start()

    def _grouped(self, partitions: int) -> Strands:
        return Strands.of_stage(partitions)

    def _new_part(self, partition: int, strand: Strand) -> StagePart:
        return StagePart(self._core, self.name, partition, self._inputs, self._partitions, strand)

    # --- the life of a task ---------------------------------------------------------------------

    async def _live(self, part: StagePart) -> None:
        await part.open()
        places = await part.places()
        await self._show_start(part, places)
        part.begin(self._factory(part.id), self._spec)
        part.follow(places, self._fetcher)
        while not (self._stopping or part.gone):
            part.wake.clear()
            part.strand.check(part.fence)
            pause = self._pause_s(part)
            if pause is None or pause > 0:
                await self._wait(part, pause)
            else:
                await self._step(part)
        await self._keep_position(part)

    def _pause_s(self, part: StagePart) -> float | None:
        """Until there is something to do: 0 for now, None for when records come."""
        now = time.monotonic()
        waiting = part.waiting()
        if waiting:
            part.idle_since = now
            return 0.0 if waiting >= self._limit() else max(0.0, part.strand.commit_at - now)
        pauses = []
        if part.next_due is not None:
            due_s = (part.next_due - clock.now_ms()) / 1000
            pauses.append(0.0 if due_s <= 0 else min(_CLOCK_LOOK_S, max(0.001, due_s)))
        if self._moved(part):
            pauses.append(max(0.0, part.idle_since + _IDLE_S - now))
        return min(pauses, default=None)

    def _moved(self, part: StagePart) -> bool:
        """The position is not the one kept: markers or gaps were passed. Shown at once, kept when it is quiet."""
        positions = part.positions()
        if positions == part.saved:
            return False
        part.reportable = part.reportable or (self._tps(part, positions), -1)
        return True

    def _tps(self, part: StagePart, positions: dict[str, Place]) -> dict[tuple[str, int], int]:
        return {(topic, part.id.partition): place.offset for topic, place in positions.items()}

    async def _keep_position(self, part: StagePart) -> None:
        """At a quiet end: what retention takes from here on was dealt with."""
        if part.state == "ready" and not part.gone and not part.waiting() and part.positions() != part.saved:
            await self._commit(part, StepResult([], {}, {}, 0, []))

    # --- one step -------------------------------------------------------------------------------

    def _limit(self) -> int:
        return max(1, min(self._spec.max_batch, int(self._core.limits.burst_ms * 1000 / self._us_per_record)))

    async def _step(self, part: StagePart) -> None:
        records = part.take(self._limit(), self._core.limits.partition_bytes)
        self._fetcher.more()
        bodies = await self._bodies_of(records)
        result = self._compute(part, records, bodies, clock.now_ms())
        if result.blobs:
            await asyncio.gather(*(self._save(uri, data) for uri, data in result.blobs.items()))
        await self._commit(part, result)

    def _compute(self, part: StagePart, records: Sequence[Record], bodies: dict[str, bytes], now_ms: int) -> StepResult:
        began = time.perf_counter()
        store = part.changelog.store
        due: Iterable[Timer] = ()
        if part.next_due is not None and part.next_due <= now_ms:
            due = due_timers(store, now_ms)
        context = StepContext(part.id, self._spec, store, now_ms, self._tables, bodies, check=self._core.catalog.check)
        # With input waiting, timers have half of the burst: after an outage neither starves the other.
        share_s = self._core.limits.burst_ms / (2_000 if records else 1_000)
        result = run_step(part.stage, self._spec, context, records, due, self._core.dead_letters, timers_s=share_s)
        if time.monotonic() >= part.sweep_at:
            part.sweep_at = time.monotonic() + _SWEEP_EVERY_S
            for key in part.sweeper.expired(store, now_ms):
                result.delta.setdefault(key, None)
        if calls := result.processed:
            cost_us = (time.perf_counter() - began) * 1e6 / calls
            self._us_per_record += 0.2 * (cost_us - self._us_per_record)
        return result

    async def _commit(self, part: StagePart, result: StepResult) -> None:
        """Outputs, state, timers and position in one transaction; the local copy follows only when it is committed."""
        positions = part.positions()
        await self._core.catalog.know({out.topic for out in result.outs})
        rows = self._core.catalog.prepare(result.outs)
        rows += part.changelog.rows(result.delta, positions)
        last = await part.strand.commit(part.fence, rows)
        offset = last[part.changelog.tp]
        part.changelog.committed(result.delta, offset)
        part.saved = positions
        part.reportable = (self._tps(part, positions), offset)
        if any(key[0] == 1 for key in result.delta):
            part.next_due = next_due_ms(part.changelog.store)
        part.last_commit_ms = clock.now_ms()
        part.failures = 0
        self.processed_total += result.processed
        self.dead_letters_total += len(result.dead)

    # --- blobs ----------------------------------------------------------------------------------

    async def _bodies_of(self, records: Sequence[Record]) -> dict[str, bytes]:
        if not any(record.headers and record.header(DATAREF) for record in records):
            return {}
        loaded = await asyncio.gather(*(self._load(ref) for ref in sorted(datarefs(records))))
        return {ref: body for ref, body in loaded if body is not None}

    async def _load(self, ref: str) -> tuple[str, bytes | None]:
        """A blob that is not there is left out: the record that needs it becomes a dead letter."""
        if self._core.blobs is None:
            raise Misconfigured("blobs", "a record refers to a blob, but the bus was opened without a blob store")
        async with self._blob_slots:
            try:
                async with asyncio.timeout(self._core.limits.blob_timeout_s):
                    return ref, await self._core.blobs.get(ref)
            except (BlobMissing, ValueError):
                return ref, None

    async def _save(self, uri: str, data: bytes | Chunks) -> None:
        if self._core.blobs is None:
            raise Misconfigured("blobs", "the stage keeps a blob, but the bus was opened without a blob store")
        async with self._blob_slots:
            async with asyncio.timeout(self._core.limits.blob_timeout_s):
                await self._core.blobs.put(uri, data)
