"""A process of the conformance suite: one member of a stage or sink, or a publisher, to be killed at will.

Started with one JSON argument. Says what happens on stdout, one JSON object a line. Only `open_engine` knows
the engine.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from omnibus.bus.embedded import EmbeddedBus, Limits
from omnibus.bus.port import Bus, Out, Record, SinkSpec, StageSpec, StoreSpec, TaskId
from omnibus.stage.contract import Ctx, Timer

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
SETTINGS: dict[str, Any] = json.loads(sys.argv[1])


def open_engine() -> Bus:
    if SETTINGS["engine"] == "kafka":
        return kafka_bus()
    limits = Limits(lease_ttl_s=SETTINGS["lease_ttl_s"])
    return EmbeddedBus(Path(SETTINGS["path"]), dead_letters=SETTINGS["dead_letters"], limits=limits)


def kafka_bus() -> Bus:
    from omnibus.bus.kafka import KafkaBus, Limits
    from omnibus.bus.topics import Topics

    return KafkaBus(
        SETTINGS["addresses"],
        topics=Topics("test"),
        application=SETTINGS["application"],
        limits=msgspec.convert(SETTINGS["limits"], Limits),
        state_dir=Path(SETTINGS["path"]),
    )


def say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def wait_for_file(name: str) -> None:
    """Block this process, event loop and all, until the test makes the file."""
    while not os.path.exists(name):
        time.sleep(0.005)


class Counting:
    """Counts each key's records; emits the count; a record ``block`` stops inside the step; ``timer`` sets a timer."""

    def __init__(self, task: TaskId) -> None:
        say(started=task.partition)

    def process(self, record: Record, ctx: Ctx) -> None:
        assert record.key is not None
        store = ctx.store("count")
        count = int(store.get(record.key) or b"0") + 1
        store.put(record.key, str(count).encode())
        value = json.dumps({"n": (record.value or b"").decode(), "count": count, "by": SETTINGS["name"]}).encode()
        ctx.emit(Out(SETTINGS["output"], record.key, value))
        if record.value == b"timer":
            ctx.timer_set("test", record.key, ctx.now_ms + 300)
        if record.value == b"block" and SETTINGS.get("block_until"):
            say(blocked=True)
            wait_for_file(SETTINGS["block_until"])

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        value = json.dumps({"fired": timer.due_ms, "at": ctx.now_ms, "by": SETTINGS["name"]}).encode()
        ctx.emit(Out(SETTINGS["output"], timer.key, value))


class Telling:
    """Says what it was given; hangs on the record ``hang``."""

    async def deliver(self, records: Sequence[Record]) -> Sequence[Out]:
        for record in records:
            value = (record.value or b"").decode()
            say(delivered=value, id=(record.header("ce_id") or b"").decode())
            if value == "hang" and SETTINGS.get("hang"):
                await asyncio.Event().wait()
        return []


async def run_stage(bus: Bus) -> None:
    spec = StageSpec(name=SETTINGS["group"], inputs=(SETTINGS["input"],), stores=(StoreSpec(name="count"),))
    await bus.run_stage(spec, Counting).start()
    await asyncio.Event().wait()


async def run_sink(bus: Bus) -> None:
    await bus.run_sink(SinkSpec(name=SETTINGS["group"], inputs=(SETTINGS["input"],)), Telling()).start()
    await asyncio.Event().wait()


async def run_publisher(bus: Bus) -> None:
    publisher = bus.publisher("conformance")
    for n in range(1_000_000):
        (position,) = await publisher.publish([Out(SETTINGS["input"], b"key", str(n).encode())])
        say(acknowledged=n, offset=position.offset)


async def main() -> None:
    bus = open_engine()
    await bus.open()
    say(open=True)
    await {"stage": run_stage, "sink": run_sink, "publisher": run_publisher}[SETTINGS["role"]](bus)


if __name__ == "__main__":
    asyncio.run(main())
