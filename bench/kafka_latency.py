"""From the front door to a reader of the queue, over two exactly-once hops on one broker, at 500 messages a second.

``python -m bench.kafka_latency`` prints JSON, for 12 partitions and for 3. Broker, both stages and the load share the
machine; the cores they use are in the figures.
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
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench import normalizer_step
from bench.kafka import AS_IN_PRODUCTION, QUEUE, STAGES, TOPICS, opened
from omnibus import clock
from omnibus.bus.kafka import KafkaBus
from omnibus.bus.kafka.wire import LATEST
from omnibus.bus.port import Out, Publisher
from omnibus.model.raw import RawEvent, encode_raw
from omnibus.testing.kafka import VERSION, cluster

RATE = 500
THREADS = 500
"""People writing while latency is measured; each has a conversation after the first second."""
WARM_UP_S = 75.0
"""A broker just started compiles its code first, for more than a minute on two cores; not in the figures."""
_NUMBER = re.compile(rb'"n=(\d+)"')


async def door_to_queue(addresses: list[str], folder: str, rate: int, seconds: float) -> dict[str, float]:
    """From the publishing of a raw event to a reader of the queue, over two exactly-once hops, each in a process of
    its own, as `omnibus run normalizer` and `omnibus run router` have it."""
    where = ["--at", ",".join(addresses), "--folder", folder]
    serving = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.kafka_latency", "--serve", stage, *where, stdout=asyncio.subprocess.PIPE
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
    load, trips = Load(bus.publisher("door"), rate), Trips(bus)
    took: list[tuple[float, float]] = []

    async def watch() -> None:
        async for records in bus.follow(TOPICS.queue(QUEUE)):
            now = time.perf_counter()
            for record in records:
                # The first messages of a conversation may come together, with its assignment.
                for number in _NUMBER.findall(record.value or b""):
                    at = load.on_its_way.pop(number, None)
                    if at is not None:
                        took.append((at, now - at))

    background = [asyncio.create_task(watch()), asyncio.create_task(trips.make())]
    await load.run(WARM_UP_S)
    warm_at, used = time.perf_counter(), Used()
    trips.took.clear()
    await load.run(seconds)
    cores = used.cores()
    ends = time.perf_counter() + 30
    while load.on_its_way and time.perf_counter() < ends:
        await asyncio.sleep(0.05)
    for task in background:
        task.cancel()
    warm = sorted(latency for at, latency in took if at > warm_at)
    return {
        "messages": len(warm), "missing": len(load.on_its_way),
        "p50_ms": round(statistics.median(warm) * 1000, 1), "p99_ms": round(warm[int(len(warm) * 0.99)] * 1000, 1),
        "one_bare_round_trip_p50_ms": round(statistics.median(trips.took) * 1000, 1),
    } | cores  # fmt: skip


class Load:
    """People who write at a steady rate, each message a call of its own, as requests come to a front door."""

    def __init__(self, publisher: Publisher, rate: int) -> None:
        self.on_its_way: dict[bytes, float] = {}
        """When what has not arrived was sent, by its number."""
        self._publisher = publisher
        self._rate = rate
        self._number = 50_000_000
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        began, before = time.perf_counter(), self._number
        while (passed := time.perf_counter() - began) < seconds:
            while self._number - before < passed * self._rate:
                call = asyncio.create_task(self._send(self._number))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
                self._number += 1
            await asyncio.sleep(0.004)
        await asyncio.gather(*self._calls)

    async def _send(self, number: int) -> None:
        thread = f"t{number % THREADS}"
        body = {"id": f"m-{number}", "from": f"p-{thread}", "thread": thread, "text": f"n={number}"}
        raw = msgspec.structs.replace(_RAW, id=f"raw_{number}", received_at=clock.now(), body=json.dumps(body).encode())
        self.on_its_way[b"%d" % number] = time.perf_counter()
        await self._publisher.publish([Out(TOPICS.raw("webhook"), thread.encode(), encode_raw(raw))])


class Trips:
    """The smallest question a broker can be asked: what the machine takes for one of the ten or so of a message."""

    def __init__(self, bus: KafkaBus) -> None:
        self.took: list[float] = []
        self._bus = bus

    async def make(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            asked = time.perf_counter()
            await self._bus.core.wire.offsets([(TOPICS.queue(QUEUE), 0)], LATEST)
            self.took.append(time.perf_counter() - asked)


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


async def measure(rate: int) -> dict[str, Any]:
    found: dict[str, Any] = {"kafka": VERSION, "cores": os.cpu_count(), "rate": rate}
    for partitions in (12, 3):
        found[f"partitions_{partitions}"] = await with_partitions(partitions, rate)
    return found


async def with_partitions(partitions: int, rate: int) -> Any:
    """What a process of this benchmark prints that measures with so many."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.kafka_latency", "--alone", "--rate", str(rate), stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "OMNIBUS_BENCH_PARTITIONS": str(partitions)},
    )  # fmt: skip
    printed, _ = await process.communicate()
    return json.loads(printed)


async def on_a_broker_of_its_own(rate: int) -> dict[str, float]:
    """Door to queue, with as many partitions as this process was told."""
    with cluster(java=AS_IN_PRODUCTION) as running, tempfile.TemporaryDirectory() as folder:
        async with opened(running.addresses, f"{folder}/state"):
            return await door_to_queue(running.addresses, folder, rate, 15.0)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rate", type=int, default=RATE, help="messages a second")
    options.add_argument("--alone", action="store_true", help="with OMNIBUS_BENCH_PARTITIONS partitions only")
    options.add_argument("--serve", choices=STAGES)
    options.add_argument("--at", help="addresses of the broker")
    options.add_argument("--folder")
    given = options.parse_args()
    if given.serve:
        uvloop.run(serve(given.serve, given.at.split(","), given.folder))
        return
    found = uvloop.run(on_a_broker_of_its_own(given.rate) if given.alone else measure(given.rate))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
