"""The Kafka engine on one broker: CPU for each message beside a bare copy loop in the same run, and restore.

``python -m bench.kafka [--quick]`` prints JSON. The broker is started from its Maven artifacts
(`omnibus.testing.kafka`) in a process of its own, whose CPU is not in the figures but whose time is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from bench import normalizer_step
from normalizer.policy import Policy
from normalizer.stage import NormalizerStage
from normalizer.stage import spec as normalizer_spec
from omnibus.bus.kafka import KafkaBus, Limits
from omnibus.bus.kafka.batches import pack
from omnibus.bus.kafka.changelog import Changelog, Place
from omnibus.bus.kafka.produce import Transactions
from omnibus.bus.port import Out, Record, Runner, StageSpec, TaskId, TopicSpec
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.registry import discover
from omnibus.stage.contract import Ctx, Timer
from omnibus.stage.store.local import LocalStore
from omnibus.testing.kafka import VERSION, cluster
from router.plan import AccountPlan, Plan
from router.rules.ruleset import load_rules
from router.stage import RouterStage
from router.stage import spec as router_spec

PARTITIONS = int(os.environ.get("OMNIBUS_BENCH_PARTITIONS", "12"))
"""Of every topic. A transaction costs a broker most of all by the partitions it writes to."""
TOPICS = Topics("bench")
QUEUE = "general"
AS_IN_PRODUCTION = ("-XX:TieredStopAtLevel=4", "-Xmx512m")
"""The broker's machine compiles what is hot for good; that of the tests does not, because it starts so often."""


class CopyStage:
    """As little as a stage can do: the record goes on as it is."""

    def process(self, record: Record, ctx: Ctx) -> None:
        ctx.emit(Out("bench.copied", record.key, record.value, record.headers))

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        raise AssertionError("it sets none")


def account() -> Account:
    channel = discover().get("webhook")
    return Account(name="hook", channel=channel, settings=channel.settings(), inactivity=timedelta(days=1))


def normalizer(_: TaskId) -> NormalizerStage:
    return NormalizerStage({"hook": account()}, TOPICS, Policy())


def plan() -> Plan:
    rules = load_rules([], default=f"queue:{QUEUE}", queues=(QUEUE,), automations=())
    return Plan(topics=TOPICS, rules=rules, queues=(QUEUE,), default_queue=QUEUE, accounts={"hook": AccountPlan()})


@asynccontextmanager
async def opened(addresses: list[str], folder: str, **limits: Any) -> AsyncIterator[KafkaBus]:
    settings = msgspec.convert({"session_timeout_ms": 6_000} | limits, Limits)
    bus = KafkaBus(addresses, topics=TOPICS, limits=settings, state_dir=Path(folder))
    await bus.open()
    try:
        specs = TOPICS.all_specs(partitions=PARTITIONS, channels=["webhook"], queues=[QUEUE], automations=[])
        await bus.ensure_topics([*specs, TopicSpec(name="bench.copied", partitions=PARTITIONS)])
        yield bus
    finally:
        await bus.close(5.0)


async def fill(bus: KafkaBus, count: int, first: int = 0) -> None:
    """Webhook requests, a tenth as many people as messages."""
    publisher = bus.publisher("fill")
    work = normalizer_step.records(count, max(1, count // 10))
    for start in range(0, count, 2_000):
        await publisher.publish(
            [
                Out(TOPICS.raw("webhook"), b"person-%d" % ((first + start + n) % max(1, count // 10)), record.value)
                for n, record in enumerate(work[start : start + 2_000])
            ]
        )


async def caught_up(bus: KafkaBus, group: str) -> None:
    while not (lags := await bus.lag(group)) or any(lags.values()):
        await asyncio.sleep(0.1)


async def cpu_of_stage(bus: KafkaBus, name: str, count: int) -> dict[str, float]:
    """Microseconds of this process for each message while it works through a backlog; and messages a second."""
    runner = STAGES[name](bus)
    await runner.start()
    while runner.health.processed_total == 0:
        await asyncio.sleep(0.01)
    began, cpu, done = time.perf_counter(), time.process_time(), runner.health.processed_total
    while runner.health.processed_total < count:
        await asyncio.sleep(0.02)
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    worked = runner.health.processed_total - done
    await caught_up(bus, name)
    await runner.drain(5.0)
    return {"us_per_message": round(used / worked * 1e6, 1), "per_second": round(worked / seconds)}


async def bare_copy(addresses: list[str], count: int) -> dict[str, float]:
    """aiokafka alone, as fast as it goes: getmany, send_batch, one transaction for each round, checked results."""
    topic = TOPICS.raw("webhook")
    consumer = AIOKafkaConsumer(bootstrap_servers=addresses, isolation_level="read_committed", enable_auto_commit=False)
    producer = AIOKafkaProducer(
        bootstrap_servers=addresses, transactional_id="bench-bare", acks="all", linger_ms=0, max_batch_size=524_288,
        compression_type="zstd",
    )  # fmt: skip
    await consumer.start()
    await producer.start()
    try:
        consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        done, cpu, began = 0, time.process_time(), time.perf_counter()
        while done < count:
            fetched = await consumer.getmany(timeout_ms=200, max_records=3_000)
            await producer.begin_transaction()
            futures = []
            for tp, records in fetched.items():
                batch = producer.create_batch()
                for r in records:
                    batch.append(timestamp=r.timestamp, key=r.key, value=r.value, headers=list(r.headers))
                batch.close()
                futures.append(await producer.send_batch(batch, "bench.copied", partition=tp.partition))
                done += len(records)
            await asyncio.gather(*futures)
            await producer.send_offsets_to_transaction(
                {tp: records[-1].offset + 1 for tp, records in fetched.items()}, "bench-bare"
            )
            await producer.commit_transaction()
        used, seconds = time.process_time() - cpu, time.perf_counter() - began
    finally:
        await producer.stop()
        await consumer.stop()
    return {"us_per_message": round(used / count * 1e6, 1), "per_second": round(count / seconds)}


async def restore(bus: KafkaBus, keys: int) -> dict[str, float]:
    """A changelog of that many keys read into a new local store."""
    core = bus.core
    await core.co_partitioned("restoring", ["bench.copied"])
    tp = (core.state_topic("restoring"), 0)
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(Path(folder) / "writing.sqlite")
        changelog = Changelog(core.wire, tp, PARTITIONS, store, core.limits)
        transactions = Transactions(core.wire, "bench-restore", "bench", core.limits)
        await transactions.fence()
        await changelog.restore()
        for start in range(0, keys, 1_000):
            delta: dict[bytes, bytes | None] = {
                b"\x10key-%012d" % (n * 7_919 % keys): b"v" * 120 for n in range(start, min(keys, start + 1_000))
            }
            await transactions.commit(pack(changelog.rows(delta, {"bench.copied": Place(start)}), 524_288))
        store.close()
        fresh = LocalStore(Path(folder) / "fresh.sqlite")
        reading = Changelog(core.wire, tp, PARTITIONS, fresh, core.limits)
        began, cpu = time.perf_counter(), time.process_time()
        await reading.restore()
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        assert fresh.count() == keys
        fresh.close()
    return {
        "keys": keys, "keys_per_second": round(keys / seconds), "keys_per_cpu_second": round(keys / used),
    }  # fmt: skip


def run_copy(bus: KafkaBus) -> Runner:
    return bus.run_stage(StageSpec(name="copy", inputs=(TOPICS.raw("webhook"),)), lambda task: CopyStage())


def run_normalizer(bus: KafkaBus) -> Runner:
    return bus.run_stage(normalizer_spec(TOPICS, ["webhook"], Policy()), normalizer)


def run_router(bus: KafkaBus) -> Runner:
    routing = plan()
    return bus.run_stage(router_spec(TOPICS), lambda task: RouterStage(lambda: routing))


STAGES = {"copy": run_copy, "normalizer": run_normalizer, "router": run_router}


async def measure(quick: bool) -> dict[str, Any]:
    count = 6_000 if quick else 40_000
    found: dict[str, Any] = {"kafka": VERSION, "partitions": PARTITIONS, "cores": os.cpu_count()}
    with cluster(java=AS_IN_PRODUCTION) as running, tempfile.TemporaryDirectory() as folder:
        addresses = running.addresses
        async with opened(addresses, f"{folder}/state") as bus:
            await fill(bus, count)
            found["bare_aiokafka_copy"] = await bare_copy(addresses, count)
            found["engine_copy"] = await cpu_of_stage(bus, "copy", count)
            found["normalizer"] = await cpu_of_stage(bus, "normalizer", count)
            told = sum(after - first for first, after in (await bus.bounds(TOPICS.events)).values())
            found["router"] = await cpu_of_stage(bus, "router", min(count, told))
            found["restore"] = await restore(bus, 20_000 if quick else 200_000)
        found["normalizer"]["step_alone_us"] = normalizer_step.measure(2_000 if quick else 10_000)["us_per_message"]
    return found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    print(json.dumps(uvloop.run(measure(options.parse_args().quick)), indent=1))


if __name__ == "__main__":
    main()
