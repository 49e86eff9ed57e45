"""Moving from the embedded bus to Kafka: nothing lost, nothing twice, the same ids and partitions."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omnibus import clock
from omnibus.bus.embedded import EmbeddedBus
from omnibus.bus.embedded import Limits as EmbeddedLimits
from omnibus.bus.embedded.reader import Reader
from omnibus.bus.embedded.schema import FILE
from omnibus.bus.kafka.copy import Copy
from omnibus.bus.port import Bus, Out, Record, StageSpec, StoreSpec, TopicSpec
from omnibus.errors import Misconfigured
from omnibus.stage.contract import Ctx, Timer

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


async def test_a_moved_installation_goes_on_where_it_was(make_bus: MakeBus, tmp_path: Path) -> None:
    due_ms = clock.now_ms() + 8_000
    await embedded_installation(tmp_path / "embedded", due_ms)
    kafka: KafkaBus = await make_bus()
    reader = Reader(tmp_path / "embedded" / FILE)
    try:
        copying = Copy(reader, kafka)
        copied = await copying.run()
        assert await copying.verify() == 0
        assert (copied.topics, copied.records, copied.cursors) == (3, 300, 1)
        assert copied.entries == 30, "a count, and a timer in two indexes, for each key"
        with pytest.raises(Misconfigured, match="had records"):
            await Copy(reader, kafka).run()
    finally:
        reader.close()

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
        assert facts == [*((str(n), n + 1) for n in range(25)), ("timer", 0)]
    await kafka.admin.delete([spec.name for spec in TOPICS])
