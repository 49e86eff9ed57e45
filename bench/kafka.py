"""The Kafka engine on one broker: CPU for each message beside a bare copy loop in the same run, latency, restore.

``python -m bench.kafka [--quick]`` prints JSON. The broker is started from its Maven artifacts
(`omnibus.testing.kafka`) in a process of its own, whose CPU is not in the figures but whose time is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
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
from omnibus import clock
from omnibus.bus.kafka import KafkaBus, Limits
from omnibus.bus.kafka.batches import pack
from omnibus.bus.kafka.changelog import Changelog, Place
from omnibus.bus.kafka.produce import Transactions
from omnibus.bus.kafka.wire import LATEST
from omnibus.bus.port import Out, Record, Runner, StageSpec, TaskId, TopicSpec
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.registry import discover
from omnibus.model.raw import RawEvent, encode_raw
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
THREADS = 500
"""People writing while latency is measured; each has a conversation after the first second."""
WARM_UP_S = 75.0
"""A broker just started compiles its code first, for more than a minute on two cores; not in the figures."""
AS_IN_PRODUCTION = ("-XX:TieredStopAtLevel=4", "-Xmx512m")
"""The broker's machine compiles what is hot for good; that of the tests does not, because it starts so often."""
_NUMBER = re.compile(rb'"n=(\d+)"')


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


async def door_to_queue(addresses: list[str], folder: str, rate: int, seconds: float) -> dict[str, float]:
    """From the publishing of a raw event to a reader of the queue, over two exactly-once hops, each in a process of
    its own, as `omnibus run normalizer` and `omnibus run router` have it."""
    where = ["--at", ",".join(addresses), "--folder", folder]
    serving = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.kafka", "--serve", stage, *where, stdout=asyncio.subprocess.PIPE
        )
        for stage in ("normalizer", "router")
    ]
    try:
        for process in serving:
            assert process.stdout is not None
            await process.stdout.readline()
        async with opened(addresses, f"{folder}/door") as bus:
            return await _latency(bus, rate, seconds)
    finally:
        for process in serving:
            process.kill()
            await process.communicate()


async def _latency(bus: KafkaBus, rate: int, seconds: float) -> dict[str, float]:
    sent: dict[bytes, float] = {}
    took: list[tuple[float, float]] = []
    following = bus.follow(TOPICS.queue(QUEUE))
    first = 50_000_000

    async def watch() -> None:
        async for records in following:
            now = time.perf_counter()
            for record in records:
                # The first messages of a conversation may come together, with its assignment.
                for number in _NUMBER.findall(record.value or b""):
                    at = sent.pop(number, None)
                    if at is not None:
                        took.append((at, now - at))

    trips: list[float] = []

    async def probe() -> None:
        """The smallest question a broker can be asked: what the machine takes for one of the ten or so of a message."""
        while True:
            await asyncio.sleep(0.1)
            asked = time.perf_counter()
            await bus.core.wire.offsets([(TOPICS.queue(QUEUE), 0)], LATEST)
            trips.append(time.perf_counter() - asked)

    watching, probing = asyncio.create_task(watch()), asyncio.create_task(probe())
    publisher = bus.publisher("door")
    began = time.perf_counter()
    n, calls = 0, []
    used = Used()
    while (passed := time.perf_counter() - began) < WARM_UP_S + seconds:
        if passed < WARM_UP_S:
            used = Used()
            trips.clear()
        while n < passed * rate:
            calls.append(asyncio.create_task(_send(publisher, first + n, sent)))
            n += 1
        await asyncio.sleep(0.004)
    cores = used.cores()
    await asyncio.gather(*calls)
    ends = time.perf_counter() + 30
    while sent and time.perf_counter() < ends:
        await asyncio.sleep(0.05)
    watching.cancel()
    probing.cancel()
    warm = sorted(latency for at, latency in took if at - began > WARM_UP_S)
    return {
        "rate": rate, "messages": n, "missing": len(sent),
        "p50_ms": round(statistics.median(warm) * 1000, 1), "p99_ms": round(warm[int(len(warm) * 0.99)] * 1000, 1),
        "one_bare_round_trip_p50_ms": round(statistics.median(trips) * 1000, 1),
    } | cores  # fmt: skip


class Used:
    """Cores in use since it was made, from Linux's /proc: by this bench with its broker, and by everybody else."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._ours, self._all = _ticks_of_family(os.getpid()), _ticks_of_machine()

    def cores(self) -> dict[str, float]:
        ticks = (time.perf_counter() - self._began) * os.sysconf("SC_CLK_TCK")
        ours = _ticks_of_family(os.getpid()) - self._ours
        return {
            "cores_of_bench_and_broker": round(ours / ticks, 2),
            "cores_of_others": round(max(0.0, _ticks_of_machine() - self._all - ours) / ticks, 2),
        }


def _ticks_of_machine() -> int:
    user, nice, system, *_ = map(int, Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:])
    return user + nice + system


def _ticks_of_family(root: int) -> int:
    """Of a process and all that descend from it."""
    found: dict[int, tuple[int, int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        found[int(stat.parent.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {root}
    while more := {pid for pid, (parent, _) in found.items() if parent in family} - family:
        family |= more
    return sum(found[pid][1] for pid in family if pid in found)


async def _send(publisher: Any, number: int, sent: dict[bytes, float]) -> None:
    thread = f"t{number % THREADS}"
    body = {"id": f"m-{number}", "from": f"p-{thread}", "thread": thread, "text": f"n={number}"}
    raw = msgspec.structs.replace(_RAW, id=f"raw_{number}", received_at=clock.now(), body=json.dumps(body).encode())
    sent[b"%d" % number] = time.perf_counter()
    await publisher.publish([Out(TOPICS.raw("webhook"), thread.encode(), encode_raw(raw))])


_RAW = RawEvent(
    id="raw", channel="webhook", account="hook", received_at=normalizer_step.AT, body=b"",
    headers=(("content-type", "application/json"),),
)  # fmt: skip


async def serve(stage: str, addresses: list[str], folder: str) -> None:
    """One stage in this process, for `door_to_queue`."""
    async with opened(addresses, f"{folder}/{stage}") as bus:
        runner = STAGES[stage](bus)
        await runner.start()
        while not (runner.health.ready and runner.health.tasks):
            await asyncio.sleep(0.05)
        print("ready", flush=True)
        await asyncio.Event().wait()


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
    for partitions in () if quick else (PARTITIONS, 3):
        found[f"door_to_queue_{partitions}_partitions"] = await in_a_process("--latency", partitions=partitions)
    return found


async def in_a_process(option: str, *, partitions: int) -> Any:
    """What this benchmark prints with that option, for so many partitions."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.kafka", option, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "OMNIBUS_BENCH_PARTITIONS": str(partitions)},
    )  # fmt: skip
    printed, _ = await process.communicate()
    return json.loads(printed)


async def latency_alone() -> dict[str, float]:
    """Door to queue on a broker of its own."""
    with cluster(java=AS_IN_PRODUCTION) as running, tempfile.TemporaryDirectory() as folder:
        async with opened(running.addresses, f"{folder}/state"):
            return await door_to_queue(running.addresses, folder, 500, 12.0)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--latency", action="store_true", help="door to queue at 500 messages a second, nothing else")
    options.add_argument("--serve", choices=STAGES)
    options.add_argument("--at", help="addresses of the broker")
    options.add_argument("--folder")
    given = options.parse_args()
    if given.serve:
        uvloop.run(serve(given.serve, given.at.split(","), given.folder))
        return
    print(json.dumps(uvloop.run(latency_alone() if given.latency else measure(given.quick)), indent=1))


if __name__ == "__main__":
    main()
