"""The chaos run: worker processes, a publisher, and somebody who kills and stops them at random."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from omnibus.bus.embedded import EmbeddedBus, Limits
from omnibus.bus.port import Out, Record, TopicSpec

WORKER = Path(__file__).with_name("worker.py")
TOPICS = ("chaos.in", "chaos.middle", "chaos.out", "chaos.timers", "chaos.dead-letters")
KEYS = 24
PARTITIONS = 6
LEASE_TTL_S = 0.8


@dataclass
class Verdict:
    """What the oracle found, and what was done to the workers."""

    sent: int = 0
    kills: int = 0
    stops: int = 0
    timers: int = 0
    complaints: list[str] = field(default_factory=list)


class Chaos:
    """One run. The oracle's numbers are dense: every key's records are 0, 1, 2, ... and so are all counts."""

    def __init__(self, folder: Path, seed: int, *, unfenced: bool = False) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._unfenced = unfenced
        self._workers: list[asyncio.subprocess.Process] = []
        self.verdict = Verdict()

    async def run(self, seconds: float, workers: int = 3) -> Verdict:
        bus = EmbeddedBus(self._folder, dead_letters=TOPICS[-1], limits=Limits(lease_ttl_s=LEASE_TTL_S))
        await bus.open()
        try:
            await bus.ensure_topics([TopicSpec(name=name, partitions=PARTITIONS) for name in TOPICS])
            ends = time.monotonic() + seconds
            self._workers = [await self._start_worker() for _ in range(workers)]
            await asyncio.gather(self._publish_until(bus, ends), self._disturb_until(ends))
            await self._let_them_finish(bus)
            await self._judge(bus)
        finally:
            for worker in self._workers:
                await self._kill(worker)
            await bus.close()
        self._check_the_file()
        return self.verdict

    # --- what happens ---------------------------------------------------------------------------

    async def _start_worker(self) -> asyncio.subprocess.Process:
        settings = {"path": str(self._folder), "lease_ttl_s": LEASE_TTL_S, "unfenced": self._unfenced}
        worker = await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), json.dumps(settings), stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
        )
        assert worker.stdout is not None
        async with asyncio.timeout(60):
            await worker.stdout.readline()
        return worker

    async def _kill(self, worker: asyncio.subprocess.Process) -> None:
        if worker.returncode is None:
            worker.send_signal(signal.SIGCONT)
            worker.kill()
        await worker.communicate()

    async def _publish_until(self, bus: EmbeddedBus, ends: float) -> None:
        publisher = bus.publisher("chaos")
        n = 0
        while time.monotonic() < ends:
            await publisher.publish([Out("chaos.in", f"k{key}".encode(), str(n).encode()) for key in range(KEYS)])
            n += 1
            self.verdict.sent += KEYS
            await asyncio.sleep(self._random.uniform(0, 0.05))

    async def _disturb_until(self, ends: float) -> None:
        while time.monotonic() < ends:
            await asyncio.sleep(self._random.uniform(0.2, 1.0))
            at = self._random.randrange(len(self._workers))
            # Without the fence it is the zombies that do damage, so there are more of them.
            if self._random.random() < (0.2 if self._unfenced else 0.6):
                await self._kill(self._workers[at])
                self._workers[at] = await self._start_worker()
                self.verdict.kills += 1
            else:
                await self._stop_for_a_while(self._workers[at])
                self.verdict.stops += 1

    async def _stop_for_a_while(self, worker: asyncio.subprocess.Process) -> None:
        """Longer than a lease lives, mostly: the worker comes back as a zombie."""
        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(0.5, 2.5) * LEASE_TTL_S)
        worker.send_signal(signal.SIGCONT)

    async def _let_them_finish(self, bus: EmbeddedBus) -> None:
        """Until everything is processed and every timer that was set has fired."""
        timers = (self.verdict.sent // KEYS + 9) // 10 * KEYS
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            lags = [*(await bus.lag("first")).values(), *(await bus.lag("second")).values()]
            fired = sum(after for _, after in (await bus.bounds("chaos.timers")).values())
            if not any(lags) and fired >= timers:
                return
            await asyncio.sleep(0.05)
        self.verdict.complaints.append("the workers never finished")

    # --- the oracle -----------------------------------------------------------------------------

    async def _judge(self, bus: EmbeddedBus) -> None:
        facts = [json.loads(record.value or b"") for record in await self._all(bus, "chaos.out")]
        each = self.verdict.sent // KEYS
        self._dense("records of a key", _by(facts, "key", "n"), KEYS, range(each))
        self._dense("counts of a key", _by(facts, "key", "count"), KEYS, range(1, each + 1))
        groups = _by(facts, "group", "in_group")
        for group, counts in groups.items():
            if counts != list(range(1, len(counts) + 1)):
                self.verdict.complaints.append(f"group {group}: its counts are not dense")
        if sum(map(len, groups.values())) != self.verdict.sent:
            self.verdict.complaints.append(f"{sum(map(len, groups.values()))} results of {self.verdict.sent} records")
        if dead := await self._all(bus, "chaos.dead-letters"):
            self.verdict.complaints.append(f"{len(dead)} dead letters")
        self._judge_timers([json.loads(record.value or b"") for record in await self._all(bus, "chaos.timers")], each)

    def _dense(self, what: str, found: dict[str, list[int]], keys: int, expected: range) -> None:
        if len(found) != keys:
            self.verdict.complaints.append(f"{what}: {len(found)} keys of {keys}")
        for key, values in found.items():
            if values != list(expected):
                lost, twice = set(expected) - set(values), len(values) - len(set(values))
                order = "in" if values == sorted(values) else "out of"
                self.verdict.complaints.append(f"{what} {key}: {len(lost)} lost, {twice} twice, {order} order")

    def _judge_timers(self, facts: list[dict[str, Any]], each: int) -> None:
        self.verdict.timers = len(facts)
        fired = Counter(fact["timer"] for fact in facts)
        expected = {f"k{key}/{n}" for key in range(KEYS) for n in range(0, each, 10)}
        if missing := expected - set(fired):
            self.verdict.complaints.append(f"{len(missing)} timers never fired")
        if twice := [timer for timer, times in fired.items() if times > 1]:
            self.verdict.complaints.append(f"{len(twice)} timers fired more than once")
        if any(fact["kind"] == "cancelled" for fact in facts):
            self.verdict.complaints.append("a cancelled timer fired")
        if any(fact["at"] < fact["due"] for fact in facts):
            self.verdict.complaints.append("a timer fired early")

    async def _all(self, bus: EmbeddedBus, topic: str) -> list[Record]:
        found: list[Record] = []
        for partition, (first, after) in (await bus.bounds(topic)).items():
            at = first
            while at < after and (records := await bus.read(topic, partition, at, 5_000)):
                found.extend(records)
                at = records[-1].offset + 1
        return found

    def _check_the_file(self) -> None:
        connection = sqlite3.connect(self._folder / "bus.sqlite")
        (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        connection.close()
        if answer != "ok":
            self.verdict.complaints.append(f"the file is damaged: {answer}")


def _by(facts: list[dict[str, Any]], key: str, value: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for fact in facts:
        found[fact[key]].append(fact[value])
    return found


@pytest.fixture
def make_chaos(tmp_path: Path) -> Callable[..., Chaos]:
    """A run in a folder of its own."""

    def make(seed: int, *, unfenced: bool = False) -> Chaos:
        return Chaos(tmp_path / f"chaos-{seed}", seed, unfenced=unfenced)

    return make
