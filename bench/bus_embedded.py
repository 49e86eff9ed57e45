"""Measures the embedded bus and prints JSON: publishing, a trivial stage, latency through a stage.

python bench/bus_embedded.py [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from omnibus.bus.embedded import EmbeddedBus
from omnibus.bus.port import Bus, Out, Record, StageSpec, StoreSpec, TaskId, TopicSpec
from omnibus.stage.contract import Ctx, Timer

PARTITIONS = 12
BODY = b'{"text": "' + b"x" * 340 + b'"}'
HEADERS = (("ce_id", b"0123456789abcdef"), ("ce_type", b"bench"), ("ce_source", b"bench"))


class Counting:
    """Reads and writes one state entry and emits one record."""

    def __init__(self, task: TaskId) -> None:
        pass

    def process(self, record: Record, ctx: Ctx) -> None:
        store = ctx.store("count")
        key = record.key or b""
        store.put(key, (int.from_bytes(store.get(key) or b"", "big") + 1).to_bytes(8, "big"))
        ctx.emit(Out("bench.out", key, record.value, record.headers))

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        pass


def some(count: int) -> list[Out]:
    return [Out("bench.in", f"conversation-{n % 2_000}".encode(), BODY, HEADERS) for n in range(count)]


async def publish_alone(bus: Bus, count: int) -> float:
    """Calls with one record each, one after the other: the price of a synced commit."""
    publisher = bus.publisher("bench")
    began = time.perf_counter()
    for out in some(count):
        await publisher.publish([out])
    return count / (time.perf_counter() - began)


async def publish_concurrently(bus: Bus, count: int, callers: int = 100) -> float:
    """Calls with one record each, many at once: group commit."""
    publisher = bus.publisher("bench")
    outs = some(count)

    async def caller(mine: list[Out]) -> None:
        for out in mine:
            await publisher.publish([out])

    began = time.perf_counter()
    await asyncio.gather(*(caller(outs[at::callers]) for at in range(callers)))
    return count / (time.perf_counter() - began)


async def publish_batches(bus: Bus, count: int, size: int = 500) -> float:
    publisher = bus.publisher("bench")
    outs = some(count)
    began = time.perf_counter()
    for at in range(0, count, size):
        await publisher.publish(outs[at : at + size])
    return count / (time.perf_counter() - began)


async def stage_cost_us(bus: Bus) -> tuple[int, float]:
    """Microseconds of wall time for each record that waits already."""
    waiting = sum(after - first for first, after in (await bus.bounds("bench.in")).values())
    runner = bus.run_stage(StageSpec(name="bench", inputs=("bench.in",), stores=(StoreSpec(name="count"),)), Counting)
    began = time.perf_counter()
    await runner.start()
    while runner.health.processed_total < waiting:  # as an operator's dashboard would
        await asyncio.sleep(0.05)
    return waiting, (time.perf_counter() - began) / waiting * 1e6


async def latency_ms(bus: Bus, seconds: float, rate: int = 200) -> dict[str, float]:
    """From before publish() to the stage's output being readable, at a steady rate."""
    publisher = bus.publisher("bench")
    taken: list[float] = []
    total = int(seconds * rate)
    following = bus.follow("bench.out")

    async def watch() -> None:
        async for records in following:
            now = time.perf_counter()
            taken.extend((now - float(record.value or b"0")) * 1000 for record in records)
            if len(taken) >= total:
                return

    watching = asyncio.create_task(watch())
    began = time.perf_counter()
    calls: list[asyncio.Task[object]] = []
    for n in range(total):
        await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
        out = Out("bench.in", f"conversation-{n % 50}".encode(), str(time.perf_counter()).encode())
        calls.append(asyncio.create_task(publisher.publish([out])))
    await asyncio.gather(*calls, watching)
    marks = statistics.quantiles(taken, n=100)
    return {"p50": round(marks[49], 2), "p99": round(marks[98], 2)}


async def main(*, quick: bool) -> None:
    scale = 1 if quick else 5
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        bus = EmbeddedBus(Path(folder) / "bus", dead_letters="bench.dead")
        await bus.open()
        names = ("bench.in", "bench.out", "bench.dead")
        await bus.ensure_topics([TopicSpec(name=name, partitions=PARTITIONS) for name in names])
        alone = await publish_alone(bus, 200 * scale)
        concurrently = await publish_concurrently(bus, 2_000 * scale)
        batches = await publish_batches(bus, 5_000 * scale)
        records, cost = await stage_cost_us(bus)
        latency = await latency_ms(bus, 2.0 * scale)
        await bus.close()
    print(
        json.dumps(
            {
                "publish_per_s_one_caller": round(alone),
                "publish_per_s_100_callers": round(concurrently),
                "publish_per_s_batches_of_500": round(batches),
                "stage_records": records,
                "stage_us_per_record": round(cost, 1),
                "latency_ms_at_200_per_s": latency,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    asyncio.run(main(quick=parser.parse_args().quick))
