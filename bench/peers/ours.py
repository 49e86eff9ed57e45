"""Our engine with the same trivial stage: exactly once, changelog and position among it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import orjson

from bench.peers.job import Meter, mapped
from omnibus.bus.kafka import KafkaBus
from omnibus.bus.port import Out, Record, StageSpec
from omnibus.bus.topics import Topics
from omnibus.stage.contract import Ctx, Timer

SAID = "a Stage of omnibus.bus.kafka with its defaults: zstd, acks=all, orjson; changelog and position; exactly once"


class Mapping:
    """Decodes, maps, encodes."""

    def __init__(self, target: str, meter: Meter, over: asyncio.Event) -> None:
        self._target = target
        self._meter = meter
        self._over = over

    def process(self, record: Record, ctx: Ctx) -> None:
        ctx.emit(Out(self._target, record.key, orjson.dumps(mapped(orjson.loads(record.value or b"")))))
        if self._meter.add():
            self._over.set()

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        raise AssertionError("it sets none")


async def run(brokers: str, source: str, target: str, count: int) -> None:
    meter, over = Meter(count), asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        bus = KafkaBus(brokers.split(","), topics=Topics("peer"), state_dir=Path(folder))
        await bus.open()
        try:
            stage = StageSpec(name="ours", inputs=(source,))
            runner = bus.run_stage(stage, lambda task: Mapping(target, meter, over))
            await runner.start()
            await over.wait()
            await runner.drain(10.0)
        finally:
            await bus.close()
    meter.tell("this version", SAID)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
