"""Moving from the embedded bus to Kafka: nothing lost, nothing twice, the same ids and partitions."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omnibus import clock
from omnibus.bus.embedded import EmbeddedBus
from omnibus.bus.embedded import Limits as EmbeddedLimits
from omnibus.bus.embedded.reader import Reader
from omnibus.bus.embedded.schema import FILE
from omnibus.bus.kafka.batches import pack
from omnibus.bus.kafka.changelog import Changelog
from omnibus.bus.kafka.copy import Copy
from omnibus.bus.kafka.produce import Transactions
from omnibus.bus.port import Bus, Out, Record, StageSpec, StoreSpec, TopicSpec
from omnibus.errors import Misconfigured
from omnibus.stage.contract import Ctx, Timer
from omnibus.stage.store.local import LocalStore

if TYPE_CHECKING:
    from omnibus.bus.kafka import KafkaBus
    from tests.omnibus.bus.kafka.conftest import MakeBus

pytestmark = pytest.mark.connected
SPEC = StageSpec(name="counting", inputs=("m.in",), stores=(StoreSpec(name="count"),))
TOPICS = [TopicSpec(name=name, partitions=4, retention_ms=3_600_000) for name in ("m.in", "m.out", "m.dead")]


class Counting:
    """Counts each key; a timer for each key fires long after the move."""

    def __init__(self, due_ms: int) -> None:
        self._due_ms = due_ms

    def process(self, record: Record, ctx: Ctx) -> None:
        assert record.key is not None
        store = ctx.store("count")
        count = int(store.get(record.key) or b"0") + 1
        store.put(record.key, str(count).encode())
        ctx.timer_set("once", record.key, self._due_ms)
        ctx.emit(Out("m.out", record.key, json.dumps([(record.value or b"").decode(), count]).encode()))

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        ctx.emit(Out("m.out", timer.key, b'["timer", 0]'))


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    ends = time.monotonic() + 30
    while not await holds():
        assert time.monotonic() < ends, "it never came true"
        await asyncio.sleep(0.02)


async def publish(bus: Bus, first: int, after: int) -> None:
    outs = [Out("m.in", f"k{key}".encode(), str(n).encode()) for n in range(first, after) for key in range(10)]
    await bus.publisher("p").publish(outs)


async def read_all(bus: Bus, topic: str) -> list[Record]:
    found: list[Record] = []
    for partition, (first, after) in (await bus.bounds(topic)).items():
        at = first
        while at < after and (records := await bus.read(topic, partition, at)):
            found.extend(records)
            at = records[-1].offset + 1
    return found


async def embedded_installation(folder: Path, due_ms: int) -> None:
    """20 records of each key, of which 10 are processed; a cursor; and a log that has lost its first records."""
    bus = EmbeddedBus(folder, dead_letters="m.dead", limits=EmbeddedLimits(retention_every_s=0.05))
    await bus.open()
    await bus.ensure_topics(TOPICS)
    publisher = bus.publisher("p")
    await publisher.cursor("mailbox")
    await publisher.publish_with_cursor([], "mailbox", b"uid 7")
    await publish(bus, 0, 10)
    runner = bus.run_stage(SPEC, lambda task: Counting(due_ms))
    await runner.start()

    async def caught_up() -> bool:
        lags = await bus.lag("counting")
        return bool(lags) and not any(lags.values())

    await eventually(caught_up)
    await runner.drain(5.0)
    await publish(bus, 10, 20)
    await bus.close()


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    reader = Reader(folder / "embedded" / FILE)
    try:
        yield reader
    finally:
        reader.close()


@pytest.fixture
async def kafka(make_bus: MakeBus) -> AsyncIterator[KafkaBus]:
    bus = await make_bus()
    yield bus
    await bus.admin.delete([spec.name for spec in TOPICS])


async def test_a_moved_installation_goes_on_where_it_was(kafka: KafkaBus, tmp_path: Path) -> None:
    due_ms = clock.now_ms() + 8_000
    await embedded_installation(tmp_path / "embedded", due_ms)
    with reading(tmp_path) as reader:
        copying = Copy(reader, kafka)
        copied = await copying.run()
        assert await copying.verify() == 0
        assert (copied.topics, copied.records, copied.cursors) == (3, 300, 1)
        assert copied.entries == 30, "a count, and a timer in two indexes, for each key"
        with pytest.raises(Misconfigured, match="copy to this cluster was interrupted"):
            await kafka.ensure_topics(TOPICS)
        await copying.finish()
        await kafka.ensure_topics(TOPICS)

    await goes_on(kafka, due_ms)
    used = pytest.raises(Misconfigured, match=r"m\.(in|out) has had records there already")
    with reading(tmp_path) as reader, used:
        await Copy(reader, kafka).run()


async def goes_on(kafka: KafkaBus, due_ms: int) -> None:
    """Starts the stage there, writes on, and finds every record counted once and every timer fired once."""
    await kafka.run_stage(SPEC, lambda task: Counting(due_ms)).start()
    assert await kafka.publisher("p").cursor("mailbox") == b"uid 7"
    await publish(kafka, 20, 25)

    async def everything_came() -> bool:
        return len(await read_all(kafka, "m.out")) >= 10 * 25 + 10

    await eventually(everything_came)
    told: dict[bytes, list[tuple[str, int]]] = {}
    for record in await read_all(kafka, "m.out"):
        told.setdefault(record.key or b"", []).append(tuple(json.loads(record.value or b"")))
    assert len(told) == 10
    for facts in told.values():
        # On a slow machine the timer is due before the last records are there; it fires once all the same.
        assert [fact for fact in facts if fact[0] != "timer"] == [(str(n), n + 1) for n in range(25)]
        assert facts.count(("timer", 0)) == 1


async def test_an_interrupted_move_is_begun_again_and_loses_nothing(kafka: KafkaBus, tmp_path: Path) -> None:
    """It is cut off wherever it says something: after each topic, and after the state."""
    due_ms = clock.now_ms() + 8_000
    await embedded_installation(tmp_path / "embedded", due_ms)
    for cut in range(1, len(TOPICS) + 2):
        said: list[str] = []

        def say(text: str, cut: int = cut, said: list[str] = said) -> None:
            said.append(text)
            if len(said) == cut:
                raise InterruptedError

        with reading(tmp_path) as reader, pytest.raises(InterruptedError):
            await Copy(reader, kafka, say).run()
        with pytest.raises(Misconfigured, match="was interrupted: run `omnibus bus copy` again"):
            await kafka.ensure_topics(TOPICS)
    with reading(tmp_path) as reader:
        copying = Copy(reader, kafka)
        copied = await copying.run()
        assert (copied.records, copied.entries, await copying.verify()) == (300, 30, 0)
        await copying.finish()
    await goes_on(kafka, due_ms)


async def test_what_was_left_by_an_interrupted_move_and_is_gone_now_stays_gone(kafka: KafkaBus, tmp_path: Path) -> None:
    """The state was half written when the move was cut off; it begins again with exactly what the source has."""
    await embedded_installation(tmp_path / "embedded", clock.now_ms() + 3_600_000)
    with reading(tmp_path) as reader:
        await kafka.admin.ensure(TOPICS)
        core = kafka.core
        await core.co_partitioned("counting", ["m.in"])
        transactions = Transactions(core.wire, core.transactional_id("counting", 0), "copy", core.limits)
        with closing(LocalStore(tmp_path / "left.sqlite")) as store:
            changelog = Changelog(core.wire, (core.state_topic("counting"), 0), 4, store, core.limits)
            await transactions.fence()
            await changelog.restore()
            await transactions.commit(pack(changelog.rows({b"\x10of a customer who left": b"1"}, {}), 100_000))
        copying = Copy(reader, kafka)
        await copying.run()
        await copying.finish()
    with closing(LocalStore(tmp_path / "read.sqlite")) as store:
        await Changelog(core.wire, (core.state_topic("counting"), 0), 4, store, core.limits).restore()
        assert store.get(b"\x10of a customer who left") is None
        assert store.count() > 0


async def test_a_running_installation_is_not_moved(kafka: KafkaBus, tmp_path: Path) -> None:
    bus = EmbeddedBus(tmp_path / "embedded", dead_letters="m.dead")
    await bus.open()
    await bus.ensure_topics(TOPICS)
    await bus.run_stage(SPEC, lambda task: Counting(0)).start()
    try:
        with reading(tmp_path) as reader:

            async def takes_part() -> bool:
                return bool(reader.members())

            await eventually(takes_part)
            with pytest.raises(Misconfigured, match="it is in use: stop Omnibus first"):
                await Copy(reader, kafka).run()
    finally:
        await bus.close()
