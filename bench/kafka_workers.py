"""One worker of the normalizer beside two, on the same backlog over Kafka: twice the workers, how much more work?

``python -m bench.kafka_workers [--quick]`` prints JSON. Two workers do at least 1.7 times the work of one where each
has a core of its own, and the broker one more. Where there are fewer cores, the rate says how those are shared, and
nothing of the workers: then CPU for each message is what counts, which must not rise with their number.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench import normalizer_step
from bench.kafka import PARTITIONS, account
from normalizer.policy import Policy
from normalizer.stage import NormalizerStage
from normalizer.stage import spec as normalizer_spec
from omnibus.bus.kafka import KafkaBus, Limits
from omnibus.bus.port import Out
from omnibus.bus.topics import Topics
from omnibus.testing.kafka import VERSION, cluster

CORES_NEEDED = 4
AIM = 1.7


@asynccontextmanager
async def opened(addresses: list[str], prefix: str, folder: str) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(addresses, topics=Topics(prefix), limits=Limits(session_timeout_ms=6_000), state_dir=Path(folder))
    await bus.open()
    try:
        yield bus
    finally:
        await bus.close(5.0)


async def worker(addresses: list[str], prefix: str, folder: str) -> None:
    """The stage in this process until standard input ends; says when it is ready, and at the end what it has used."""
    topics = Topics(prefix)
    async with opened(addresses, prefix, folder) as bus:
        runner = bus.run_stage(
            normalizer_spec(topics, ["webhook"], Policy()),
            lambda task: NormalizerStage({"hook": account()}, topics, Policy()),
        )
        await runner.start()
        while not runner.health.ready or not runner.health.tasks:
            await asyncio.sleep(0.02)
        print("ready", flush=True)
        cpu = time.process_time()
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps({"done": runner.health.processed_total, "cpu_s": time.process_time() - cpu}), flush=True)


async def run(addresses: list[str], workers: int, count: int) -> dict[str, Any]:
    """So many workers through so many messages, with topics of their own."""
    prefix = f"workers{workers}"
    with tempfile.TemporaryDirectory() as folder:
        async with opened(addresses, prefix, f"{folder}/looking") as bus:
            topics = Topics(prefix)
            await bus.ensure_topics(
                topics.all_specs(partitions=PARTITIONS, channels=["webhook"], queues=["general"], automations=[])
            )
            started = [await _start(addresses, prefix, f"{folder}/{n}") for n in range(workers)]
            for process in started:
                assert process.stdout is not None
                await process.stdout.readline()
            began = time.perf_counter()
            await _fill(bus, topics, count)
            while not (lags := await bus.lag("normalizer")) or any(lags.values()):
                await asyncio.sleep(0.02)
            seconds = time.perf_counter() - began
            told = [json.loads((await process.communicate(b""))[0]) for process in started]
    done = sum(one["done"] for one in told)
    return {
        "per_second": round(count / seconds),
        "us_cpu_per_message": round(sum(one["cpu_s"] for one in told) / done * 1e6, 1),
        "shares": sorted(one["done"] for one in told),
    }


async def _start(addresses: list[str], prefix: str, folder: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "bench.kafka_workers", "--worker", ",".join(addresses), prefix, folder]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)


async def _fill(bus: KafkaBus, topics: Topics, count: int) -> None:
    publisher = bus.publisher("fill")
    people = max(1, count // 10)
    records = normalizer_step.records(count, people)
    for start in range(0, count, 2_000):
        part = records[start : start + 2_000]
        outs = [Out(topics.raw("webhook"), b"p%d" % ((start + n) % people), r.value) for n, r in enumerate(part)]
        await publisher.publish(outs)


async def measure(quick: bool) -> dict[str, Any]:
    count = 4_000 if quick else 30_000
    with cluster() as running:
        await run(running.addresses, 3, 1_000)  # the broker is warm then
        one, two = await run(running.addresses, 1, count), await run(running.addresses, 2, count)
    cores = os.cpu_count() or 1
    times = round(two["per_second"] / one["per_second"], 2)
    if cores >= CORES_NEEDED:
        verdict = f"two workers do {times} times the work of one; the aim is {AIM}"
    else:
        verdict = (
            f"{cores} cores for two workers, the broker and what else runs: {times} times the rate of one says nothing "
            f"of the workers; compare CPU for each message (aim with {CORES_NEEDED} cores: {AIM} times the rate)"
        )
    return {"kafka": VERSION, "cores": cores, "one": one, "two": two, "times": times, "verdict": verdict}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--worker", nargs=3)
    given = options.parse_args()
    if given.worker:
        addresses, prefix, folder = given.worker
        asyncio.run(worker(addresses.split(","), prefix, folder))
        return
    print(json.dumps(asyncio.run(measure(given.quick)), indent=1))


if __name__ == "__main__":
    main()
