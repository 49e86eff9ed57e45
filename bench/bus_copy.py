"""`omnibus bus copy`: an installation that has really worked moves from the embedded bus to one Kafka broker.

``python -m bench.bus_copy [--quick]`` prints JSON. The pipeline's own stages make the records and the state that move.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from bench import normalizer_step
from bench.kafka import PARTITIONS, QUEUE, TOPICS, normalizer, plan
from normalizer.policy import Policy
from normalizer.stage import spec as normalizer_spec
from omnibus.bus.embedded import EmbeddedBus
from omnibus.bus.embedded.reader import Reader
from omnibus.bus.embedded.schema import FILE
from omnibus.bus.kafka import KafkaBus
from omnibus.bus.kafka.copy import Copy
from omnibus.bus.port import Out
from omnibus.testing.kafka import VERSION, cluster
from router.stage import RouterStage
from router.stage import spec as router_spec


async def work(folder: Path, messages: int) -> None:
    """So many webhook requests from a tenth as many people, normalised and routed."""
    bus = EmbeddedBus(folder, dead_letters=TOPICS.dead_letters)
    await bus.open()
    try:
        specs = TOPICS.all_specs(partitions=PARTITIONS, channels=["webhook"], queues=[QUEUE], automations=[])
        await bus.ensure_topics(specs)
        publisher = bus.publisher("fill")
        people = max(1, messages // 10)
        records = normalizer_step.records(messages, people)
        for start in range(0, messages, 1_000):
            part = records[start : start + 1_000]
            outs = [Out(TOPICS.raw("webhook"), b"p%d" % ((start + n) % people), r.value) for n, r in enumerate(part)]
            await publisher.publish(outs)
        routing = plan()
        runners = [
            bus.run_stage(normalizer_spec(TOPICS, ["webhook"], Policy()), normalizer),
            bus.run_stage(router_spec(TOPICS), lambda task: RouterStage(lambda: routing)),
        ]
        for runner in runners:
            await runner.start()
        for group in ("normalizer", "router"):
            while not (lags := await bus.lag(group)) or any(lags.values()):
                await asyncio.sleep(0.1)
        for runner in runners:
            await runner.drain(10.0)
    finally:
        await bus.close()


async def move(source: Path, addresses: list[str], state: Path) -> dict[str, Any]:
    """The copy, and the comparison after it."""
    bus = KafkaBus(addresses, topics=TOPICS, state_dir=state)
    reader = Reader(source / FILE)
    await bus.open()
    try:
        copying = Copy(reader, bus)
        began, cpu = time.perf_counter(), time.process_time()
        copied = await copying.run()
        copy_s, copy_cpu = time.perf_counter() - began, time.process_time() - cpu
        began = time.perf_counter()
        differences = await copying.verify()
        verify_s = time.perf_counter() - began
        await copying.finish()
    finally:
        await bus.close()
        reader.close()
    moved = copied.records + copied.entries
    return {
        **msgspec.structs.asdict(copied),
        "bytes": (source / FILE).stat().st_size,
        "seconds": round(copy_s, 2),
        "per_second": round(moved / copy_s),
        "us_cpu_each": round(copy_cpu / moved * 1e6, 1),
        "verify_seconds": round(verify_s, 2),
        "verified_per_second": round(copied.records / verify_s),
        "differences": differences,
    }


async def measure(quick: bool) -> dict[str, Any]:
    messages = 2_000 if quick else 20_000
    with cluster() as running, tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "embedded"
        await work(source, messages)
        moved = await move(source, running.addresses, Path(folder) / "state")
    return {"kafka": VERSION, "messages": messages, **moved}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    print(json.dumps(asyncio.run(measure(options.parse_args().quick)), indent=1))


if __name__ == "__main__":
    main()
