"""Moves an embedded installation to Kafka: records, state, timers, positions and cursors; same keys, same partitions.

Offsets are not kept: a log that has lost its beginning to retention begins at 0 again. Positions are translated, record
by record, so that nothing is processed twice and nothing is left out.

A move that was interrupted is begun again and goes on where it was. Until it is finished, a topic of its own says so,
and nothing else starts there.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec

from omnibus.bus.embedded.catalog import Topic
from omnibus.bus.embedded.leases import lease_now_ms
from omnibus.bus.embedded.owner import is_dead
from omnibus.bus.embedded.reader import Reader, decode_acked
from omnibus.bus.embedded.schema import tp_of
from omnibus.bus.kafka.batches import pack
from omnibus.bus.kafka.bus import KafkaBus
from omnibus.bus.kafka.changelog import Changelog, Place
from omnibus.bus.kafka.core import Core
from omnibus.bus.kafka.cursors import Cursors
from omnibus.bus.kafka.produce import Transactions
from omnibus.bus.kafka.wire import EARLIEST, LATEST, Tp
from omnibus.bus.port import Out, Record, TopicSpec
from omnibus.errors import Misconfigured, PublishUnknown
from omnibus.stage.store.local import LocalStore

_AT_ONCE = 4
_RECORDS = 2_000
_BYTES = 4 * 1024 * 1024
_ENTRIES = 2_000
_EVERYTHING = 1 << 40
_LAST_KEY = b"\xff" * 64


class Copied(msgspec.Struct):
    """How much was moved."""

    topics: int = 0
    records: int = 0
    entries: int = 0
    positions: int = 0
    cursors: int = 0


class Copy:
    """One move. The source must not be running: what comes in meanwhile would be left behind."""

    def __init__(self, source: Reader, target: KafkaBus, said: Callable[[str], None] = lambda text: None) -> None:
        self._source = source
        self._target = target
        self._publisher = target.publisher("copy")
        self._said = said
        self._offsets: dict[Tp, list[int]] = {}
        """For every partition, the old offset of each record, by its new one."""
        self.copied = Copied()

    async def run(self) -> Copied:
        """Raises Misconfigured when the source is running, or the target has been used for anything but this move;
        PublishUnknown when somebody else writes there: delete the target's topics then, and begin again."""
        self._refuse_a_running_source()
        topics = [Topic(key, spec) for key, spec in self._source.topics().items()]
        unfinished = self._target.core.unfinished_copy
        await self._target.admin.ensure(
            [*(topic.spec for topic in topics), TopicSpec(name=unfinished, partitions=1, retention_ms=None)]
        )
        await self._target.topics()
        for topic in topics:
            await self._copy_topic(topic)
        for name, (group, inputs) in self._source.groups().items():
            await self._copy_group(name, group, [topic for topic in topics if topic.spec.name in inputs])
        await self._copy_cursors()
        return self.copied

    async def finish(self) -> None:
        """Let the target be used; call it once `verify` has found no difference."""
        await self._target.admin.delete([self._target.core.unfinished_copy])

    def _refuse_a_running_source(self) -> None:
        if any(until_ms > lease_now_ms() and not is_dead(owner) for owner, until_ms in self._source.members()):
            raise Misconfigured("bus", "it is in use: stop Omnibus first, what comes in now would be left behind")

    async def _copy_topic(self, topic: Topic) -> None:
        self.copied.topics += 1
        bounds = await self._target.bounds(topic.spec.name)

        tails = self._source.tails(topic.id)

        async def one(partition: int) -> None:
            self._offsets[topic.spec.name, partition] = []
            at = await self._moved_before(topic, partition, tails[partition][0], bounds[partition])
            await self._copy_partition(topic, partition, at)

        await _at_once(one, tails)
        count = sum(map(len, self._of(topic)))
        self.copied.records += count
        self._said(f"{topic.spec.name}: {count} records")

    async def _copy_partition(self, topic: Topic, partition: int, at: int) -> None:
        moved = self._offsets[topic.spec.name, partition]
        while records := self._source.records(topic.spec.name, tp_of(topic.id, partition), at, _RECORDS, _BYTES):
            outs = [Out(r.topic, r.key, r.value, r.headers, partition, r.ts_ms) for r in records]
            positions = await self._publisher.publish(outs)
            if [place.offset for place in positions] != list(range(len(moved), len(moved) + len(records))):
                raise PublishUnknown(f"{topic.spec.name}[{partition}] is being written by somebody else")
            moved.extend(record.offset for record in records)
            at = records[-1].offset + 1

    async def _moved_before(self, topic: Topic, partition: int, first: int, there: tuple[int, int]) -> int:
        """Where to go on: an interrupted move has left the first records of this partition in the target already."""
        name, (start, end) = topic.spec.name, there
        moved, at = self._offsets[name, partition], first
        while len(moved) < end:
            records = self._source.records(
                name, tp_of(topic.id, partition), at, min(_RECORDS, end - len(moved)), _BYTES
            )
            if not records:
                raise self._used(name)
            moved.extend(record.offset for record in records)
            at = records[-1].offset + 1
        if await self._differing(topic.id, name, partition, start, end):
            raise self._used(name)
        return at

    def _used(self, name: str) -> Misconfigured:
        return Misconfigured(
            "--to", f"{name} has had records there already that are not of this copy; copy to an installation not used"
        )

    def _of(self, topic: Topic) -> list[list[int]]:
        return [moved for (name, _), moved in self._offsets.items() if name == topic.spec.name]

    # --- state and positions --------------------------------------------------------------------

    async def _copy_group(self, name: str, group: int, inputs: list[Topic]) -> None:
        if not inputs:
            return
        core = self._target.core
        partitions = await core.co_partitioned(name, [topic.spec.name for topic in inputs])

        async def one(partition: int) -> None:
            places = self._places(group, partition, inputs)
            entries = await self._copy_state(core, name, group, partition, partitions, places)
            self.copied.entries += entries
            self.copied.positions += len(places)

        await _at_once(one, range(partitions))
        self._said(f"{name}: state and positions of {partitions} partitions")

    def _places(self, group: int, partition: int, inputs: list[Topic]) -> dict[str, Place]:
        places: dict[str, Place] = {}
        for topic in inputs:
            found = self._source.position(group, tp_of(topic.id, partition))
            if found is not None:
                moved = self._offsets[topic.spec.name, partition]
                acked = tuple(bisect_left(moved, offset) for offset in decode_acked(found[1]))
                places[topic.spec.name] = Place(bisect_left(moved, found[0]), acked)
        return places

    async def _copy_state(
        self, core: Core, name: str, group: int, partition: int, partitions: int, places: dict[str, Place]
    ) -> int:
        task, tp = tp_of(group, partition), (core.state_topic(name), partition)
        store = LocalStore(core.state_file(name, partition))
        try:
            changelog = Changelog(core.wire, tp, partitions, store, core.limits)
            transactions = Transactions(core.wire, core.transactional_id(name, partition), "copy", core.limits)
            await transactions.fence()
            done_before = await changelog.restore()
            if done_before and done_before != places:
                raise Misconfigured("--to", f"{name} has run there already; copy to an installation not used")
            await self._forget(changelog, transactions)
            count, start = 0, b""
            while True:
                entries = self._source.state_scan(task, start, _LAST_KEY, _ENTRIES)
                done = len(entries) < _ENTRIES
                # A position is written only with the last of the state: a copy cut short begins again.
                delta: dict[bytes, bytes | None] = dict(entries)
                rows = changelog.rows(delta, places if done else {})
                last = await transactions.commit(pack(rows, core.limits.batch_bytes))
                changelog.committed(delta, last[tp])
                count += len(entries)
                if done:
                    return count
                start = entries[-1][0] + b"\x00"
        finally:
            store.close()

    async def _forget(self, changelog: Changelog, transactions: Transactions) -> None:
        """Take back what an interrupted move has left: the source may have lost some of it since."""
        while stale := changelog.store.scan(b"", None, _ENTRIES):
            delta: dict[bytes, bytes | None] = {key: None for key, _ in stale}
            rows = changelog.rows(delta, {})
            last = await transactions.commit(pack(rows, self._target.core.limits.batch_bytes))
            changelog.committed(delta, last[changelog.tp])

    async def _copy_cursors(self) -> None:
        cursors = Cursors(self._target.core)
        for source, value in self._source.cursors().items():
            if value is not None:
                await cursors.take_over(self, source)
                await cursors.move(self, source, [], value)
                self.copied.cursors += 1

    # --- proof ----------------------------------------------------------------------------------

    async def verify(self) -> int:
        """Read everything back and compare; returns the number of records that differ or are missing."""
        wrong = 0
        for key, spec in self._source.topics().items():
            for partition in range(spec.partitions):
                wrong += await self._differences(key, spec.name, partition)
                await asyncio.sleep(0)
        return wrong

    async def _differences(self, topic_id: int, name: str, partition: int) -> int:
        tp = (name, partition)
        first = (await self._target.core.wire.offsets([tp], EARLIEST))[tp]
        end = (await self._target.core.wire.offsets([tp], LATEST))[tp]
        wrong = abs(end - len(self._offsets[tp]))
        return wrong + await self._differing(topic_id, name, partition, first, min(end, len(self._offsets[tp])))

    async def _differing(self, topic_id: int, name: str, partition: int, first: int, end: int) -> int:
        """How many of the target's records from `first` to before `end` are not what the source has in their place.
        Those that compaction or retention has taken already are not asked for."""
        moved = self._offsets[name, partition]
        wrong, at = 0, first
        while at < end and (read := await self._target.read(name, partition, at, _RECORDS)):
            there = [record for record in read if record.offset < end]
            if there:
                low, high = there[0].offset, there[-1].offset
                originals = self._source.records(
                    name, tp_of(topic_id, partition), moved[low], high - low + 1, _EVERYTHING
                )
                by_offset = {record.offset: record for record in originals}
                wrong += sum(not _same(record, by_offset.get(moved[record.offset])) for record in there)
            at = read[-1].offset + 1
        return wrong


async def _at_once(work: Callable[[int], Coroutine[Any, Any, None]], partitions: Iterable[int]) -> None:
    """Several partitions at a time: their requests travel together. The first failure ends all."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(partition: int) -> None:
        async with turn:
            await work(partition)

    try:
        async with asyncio.TaskGroup() as group:
            for partition in partitions:
                group.create_task(in_turn(partition))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed


def _same(one: Record, other: Record | None) -> bool:
    """The same record, but for its place."""
    return other is not None and (one.key, one.value, one.headers, one.ts_ms) == (
        other.key, other.value, other.headers, other.ts_ms
    )  # fmt: skip
