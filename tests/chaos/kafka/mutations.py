"""The defects that the oracle must see. Each one is what somebody would write who had not read the decisions."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aiokafka.protocol.commit import OffsetFetchRequest

from omnibus.bus.kafka import changelog, group, produce
from omnibus.bus.kafka.batches import Batch
from omnibus.bus.kafka.changelog import Place
from omnibus.bus.kafka.stage_runner import StagePart, StageRunner
from omnibus.bus.kafka.wire import LATEST, Tp
from omnibus.bus.port import Record
from omnibus.stage.step import StepResult


def no_fence() -> None:
    """Every process has transactional ids of its own, so nobody is fenced."""
    make = produce.Transactions.__init__

    def init(self: produce.Transactions, wire: Any, transactional_id: str, lane: Any, limits: Any) -> None:
        make(self, wire, f"{transactional_id}.{uuid.uuid4().hex}", lane, limits)

    produce.Transactions.__init__ = init  # type: ignore[method-assign]  # that is the defect


def results_not_looked_at() -> None:
    """The commit goes on whatever the broker said to the batches."""

    async def send(self: Any, sequences: Any, batches: Sequence[Batch]) -> dict[Tp, int]:
        encoded = {
            batch.tp: batch.encoded(
                sequences.producer_id, sequences.epoch, sequences.take(batch.tp, len(batch.rows)), True, "zstd"
            )
            for batch in batches
        }
        await produce.try_produce(self._wire, self._lane, self.id, encoded, 10.0)
        return {batch.tp: 0 for batch in batches}

    produce.Transactions._send = send  # type: ignore[method-assign]


def no_seek_after_a_failure() -> None:
    """A task that begins afresh reads on from where it was."""
    follow, unfollow = StagePart.follow, StagePart.unfollow
    at: dict[tuple[str, int], dict[str, Place]] = {}

    def unfollow_and_remember(self: StagePart, fetcher: Any) -> None:
        if self.sources:
            at[self.id.stage, self.id.partition] = self.positions()
        unfollow(self, fetcher)

    def follow_from_memory(self: StagePart, places: dict[str, Place], fetcher: Any) -> None:
        follow(self, at.get((self.id.stage, self.id.partition), places), fetcher)

    StagePart.unfollow = unfollow_and_remember  # type: ignore[method-assign, assignment]
    StagePart.follow = follow_from_memory  # type: ignore[method-assign, assignment]


def position_of_the_group_read_before_the_fence() -> None:
    """The group's offsets are taken for the position, and they are read first."""
    opened = group.Part.open

    async def open_after_reading(self: group.Part) -> None:
        core = self._core
        name = core.group(self.id.stage)
        node = await core.wire.group_coordinator(name)
        answer = await core.wire.call(node, OffsetFetchRequest(name, None), "offsets")
        offsets = {
            topic: Place(offset)
            for topic, partitions in answer.topics
            for partition, offset, _, _ in partitions
            if partition == self.id.partition
        }
        await opened(self)
        self.saved = offsets

    group.Part.open = open_after_reading  # type: ignore[method-assign]


def copy_written_before_the_commit() -> None:
    """The local copy is changed first; after a failure it is ahead of the log."""
    commit = StageRunner._commit

    async def write_first(self: StageRunner, part: StagePart, result: StepResult) -> None:
        meta = part.changelog.store.meta("position_at") or b"0"
        part.changelog.store.apply(result.delta, part.changelog._meta(int(meta)))
        await commit(self, part, result)

    StageRunner._commit = write_first  # type: ignore[method-assign]


_MISSED = 12
"""Records."""


class _Short:
    """The cluster as it is, but every log ends a few records early."""

    def __init__(self, wire: Any) -> None:
        self._wire = wire
        self.ends: dict[Tp, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)

    async def offsets(self, tps: Any, at: int, isolation: int = 1) -> dict[Tp, int]:
        found: dict[Tp, int] = await self._wire.offsets(tps, at, isolation)
        if at == LATEST:
            found = {tp: max(0, end - _MISSED) for tp, end in found.items()}
            self.ends |= found
        return found


def restore_stops_short() -> None:
    """What was committed last is not read back."""
    reading: Any = changelog
    fetch, replay = reading.fetch_once, changelog.Changelog._replay

    async def fetch_short(wire: Any, tp: Tp, *given: Any) -> Iterator[tuple[list[Record], int]]:
        batches: Iterator[tuple[list[Record], int]] = await fetch(wire, tp, *given)
        if not isinstance(wire, _Short):
            return batches
        end = wire.ends[tp]
        return (([record for record in records if record.offset < end], min(at, end)) for records, at in batches)

    async def replay_short(self: changelog.Changelog, _: int) -> Any:
        wire, self._wire = self._wire, _Short(self._wire)  # type: ignore[assignment]  # only this restore sees it so
        try:
            return await replay(self, 0)
        finally:
            self._wire = wire

    reading.fetch_once = fetch_short
    changelog.Changelog._replay = replay_short  # type: ignore[method-assign, assignment]


def tombstones_ignored() -> None:
    """A deletion in the changelog is not seen when it is read back."""
    reading: Any = changelog
    fetch = reading.fetch_once

    async def without_deletions(*given: Any) -> Iterator[tuple[list[Record], int]]:
        batches = await fetch(*given)
        return (([record for record in records if record.value is not None], at) for records, at in batches)

    reading.fetch_once = without_deletions


ALL: dict[str, Callable[[], None]] = {
    mutation.__name__: mutation
    for mutation in (
        no_fence,
        results_not_looked_at,
        no_seek_after_a_failure,
        position_of_the_group_read_before_the_fence,
        copy_written_before_the_commit,
        restore_stops_short,
        tombstones_ignored,
    )
}


def apply(name: str) -> None:
    ALL[name]()
