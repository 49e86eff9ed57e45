"""Measures the router with a million pending timers on the embedded bus, and how far behind the load of queues is told.

Timers: 10,000 clocks are due at once among 1,000,000; JSON says how long until all have rung (and the processor time of
it all, reading along among it), and how long new messages waited for their decision meanwhile. Load: 500 messages a
second; how long until every partition knows of each.

python -m bench.router_timers [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from omnibus import clock
from omnibus.bus.embedded import EmbeddedBus
from omnibus.bus.port import Out, Record, StageSpec, TaskId
from omnibus.bus.topics import Topics
from omnibus.model.codec import type_of
from omnibus.model.content import Text
from omnibus.stage.step import StepContext
from omnibus.testing.memory_state import MemoryBacking
from router.plan import AccountPlan, Plan
from router.queues import QueuePlan, SlaPlan
from router.rehearsal import ACCOUNT, Rehearsal
from router.rules.ruleset import load_rules
from router.stage import RouterStage, spec

TOPICS = Topics("bench")
WARNING = "omnibus.sla.warning.v1"
HOUR_MS = 3_600_000


def plan_of() -> Plan:
    queues = ("general",)
    return Plan(
        topics=TOPICS,
        rules=load_rules((), default="queue:general", queues=queues, automations=()),
        queues=queues,
        default_queue="general",
        accounts={ACCOUNT: AccountPlan(inactivity_ms=1_000 * HOUR_MS)},
        queue_plans={"general": QueuePlan(sla=SlaPlan(targets_ms={"first_response": 4 * HOUR_MS}), capacity=10**9)},
    )


async def opened(folder: Path, partitions: int) -> EmbeddedBus:
    bus = EmbeddedBus(folder, dead_letters=TOPICS.dead_letters)
    await bus.open()
    specs = TOPICS.all_specs(partitions=partitions, channels=["webchat"], queues=["general"], automations=())
    await bus.ensure_topics(specs)
    return bus


def outs(written: Sequence[Record]) -> list[Out]:
    return [Out(one.topic, one.key, one.value, one.headers) for one in written]


async def caught_up(bus: EmbeddedBus) -> None:
    while any((await bus.lag("router")).values()):
        await asyncio.sleep(0.02)


def add_far_timers(file: Path, count: int, now_ms: int) -> None:
    """Timers of conversations nobody hears of today, straight into the state of the one task."""
    backing = MemoryBacking()
    context = StepContext(TaskId("router", 0), StageSpec(name="router", inputs=()), backing, now_ms, {}, {})
    for number in range(count):
        context.timer_set("inactivity", b"conv_far%d" % number, now_ms + 500 * HOUR_MS + number)
    with sqlite3.connect(file) as connection:
        (task,) = connection.execute("SELECT DISTINCT task FROM st").fetchone()
        rows = ((task, key, value) for key, value in sorted(context.overlay.delta.items()) if value is not None)
        connection.executemany("INSERT INTO st VALUES(?,?,?)", rows)
    connection.close()


async def timers(folder: Path, pending: int, due: int) -> dict[str, float]:
    with clock.use(hands := clock.ManualClock()):
        bus, plan = await opened(folder, 1), plan_of()
        runner = bus.run_stage(spec(TOPICS), lambda _: RouterStage(lambda: plan))
        await runner.start()
        traffic, publisher = Rehearsal(plan, now_ms=clock.now_ms()), bus.publisher("bench")
        for at in range(0, due, 500):
            names = [f"due{number}" for number in range(at, min(due, at + 500))]
            await publisher.publish(
                outs([one for name in names for one in (traffic.opened(name), traffic.received(name, Text(text="hi")))])
            )
        await caught_up(bus)
        await runner.drain(10)
        add_far_timers(folder / "bus.sqlite", pending - 2 * due, clock.now_ms())
        runner = bus.run_stage(spec(TOPICS), lambda _: RouterStage(lambda: plan))
        await runner.start()
        while not runner.health.tasks or not runner.health.ready:
            await asyncio.sleep(0.02)
        hands.advance(timedelta(hours=3, milliseconds=1))
        traffic.now_ms = clock.now_ms()
        figures = await ring(bus, traffic, due)
        await bus.close()
    return figures


async def ring(bus: EmbeddedBus, traffic: Rehearsal, due: int) -> dict[str, float]:
    """Until all clocks have rung; meanwhile somebody writes now and then."""
    publisher = bus.publisher("bench")
    began, worked = time.perf_counter(), time.process_time()
    waits: list[float] = []
    (_, at), rung, seen = (await bus.bounds(TOPICS.events))[0], 0, 0
    asked: dict[bytes, float] = {}
    took = 0.0
    while rung < due or len(waits) < seen:
        if not asked and rung < due:
            name = f"new{seen}"
            seen += 1
            written = outs([traffic.opened(name), traffic.received(name, Text(text="hi"))])
            asked[written[0].key or b""] = time.perf_counter()
            await publisher.publish(written)
        for record in await bus.read(TOPICS.events, 0, at, 5_000):
            at = record.offset + 1
            kind = type_of(record)
            rung += kind == WARNING
            if kind == "omnibus.routing.decided.v1" and record.key in asked:
                waits.append((time.perf_counter() - asked.pop(record.key)) * 1000)
        took = took or (time.perf_counter() - began if rung >= due else 0.0)
        await asyncio.sleep(0.005)
    return {
        "seconds": round(took, 2),
        "cpu_seconds": round(time.process_time() - worked, 2),
        "input_wait_ms_median": round(statistics.median(waits), 1),
        "input_wait_ms_max": round(max(waits), 1),
        "messages_meanwhile": len(waits),
    }


async def load(folder: Path, rate: int, seconds: float) -> dict[str, float]:
    """How long from a decision to the moment the table says so."""
    bus, plan = await opened(folder, 4), plan_of()
    await bus.run_stage(spec(TOPICS), lambda _: RouterStage(lambda: plan)).start()
    table = await bus.global_table(TOPICS.routing)
    traffic, publisher = Rehearsal(plan), bus.publisher("bench")
    decided: list[float] = []
    told: list[float] = []
    ends = time.perf_counter() + seconds
    wanted = int(rate * seconds)

    async def publish() -> None:
        sent = 0
        while sent < wanted:
            part = min(wanted - sent, max(1, int(rate * (1 - (ends - time.perf_counter()) / seconds) * seconds) - sent))
            traffic.now_ms = clock.now_ms()
            names = [f"c{number}" for number in range(sent, sent + part)]
            await publisher.publish(
                outs([one for name in names for one in (traffic.opened(name), traffic.received(name, Text(text="hi")))])
            )
            sent += part
            await asyncio.sleep(0.02)

    async def watch() -> None:
        while len(told) < wanted:
            now = time.perf_counter()
            ours = [msgspec.json.decode(value, type=dict[str, int]) for _, value in table.scan(b"load/")]
            told.extend([now] * (sum(one.get("general", 0) for one in ours) - len(told)))
            in_queue = sum(end for _, end in (await bus.bounds(TOPICS.queue("general"))).values()) // 2
            decided.extend([now] * (in_queue - len(decided)))
            await asyncio.sleep(0.01)

    await asyncio.gather(publish(), watch())
    lags = sorted((later - earlier) * 1000 for earlier, later in zip(decided, told, strict=False))
    await bus.close()
    return {"messages_per_second": rate, "lag_ms_median": round(statistics.median(lags)), "lag_ms_max": round(lags[-1])}


async def run(quick: bool) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        rung = await timers(Path(folder) / "timers", 100_000 if quick else 1_000_000, 1_000 if quick else 10_000)
        lag = await load(Path(folder) / "load", 500, 2 if quick else 10)
    return {"router_timers": rung, "router_load": lag}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    print(json.dumps(asyncio.run(run(parser.parse_args().quick))))


if __name__ == "__main__":
    main()
