"""The engines that the conformance suite runs on, and the processes it kills."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omnibus import clock
from omnibus.bus.embedded import EmbeddedBus, Limits
from omnibus.bus.kafka import KafkaBus
from omnibus.bus.kafka import Limits as KafkaLimits
from omnibus.bus.port import Bus, Record, TopicSpec
from omnibus.bus.topics import Topics
from omnibus.testing.kafka import cluster

WORKER = Path(__file__).with_name("worker.py")
DEAD = "test.dead-letters"
PATIENCE_S = 60.0


class Worker:
    """Another process on the same bus."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.facts: list[dict[str, Any]] = []
        self._came = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.endswith(b"\n"):  # a killed process may leave half a line
                self.facts.append(json.loads(line))
                self._came.set()

    async def says(self, name: str, value: object = None) -> dict[str, Any]:
        """The first fact with that name (and value); waits for it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._came.clear()
                for fact in self.facts:
                    if name in fact and (value is None or fact[name] == value):
                        return fact
                await self._came.wait()

    def all(self, name: str) -> list[Any]:
        return [fact[name] for fact in self.facts if name in fact]

    async def kill(self) -> None:
        """kill -9, and read what it said before."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
        await self._process.wait()
        await self._listening

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)


class Engine(ABC):
    """One engine with its data, as the suite needs it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = dict(settings)
        self._buses: list[Bus] = []
        self._workers: list[Worker] = []

    @abstractmethod
    def make_bus(self, *, skip_lost: bool = False) -> Bus: ...

    @abstractmethod
    async def lose_all_below_the_end(self, bus: Bus, topic: str) -> None:
        """Let retention take every record there is."""

    async def open(self, *, skip_lost: bool = False) -> Bus:
        """A new member: to the engine, another process."""
        bus = self.make_bus(skip_lost=skip_lost)
        await bus.open()
        self._buses.append(bus)
        return bus

    async def close(self, bus: Bus) -> None:
        self._buses.remove(bus)
        await bus.close()

    async def spawn(self, role: str, **settings: Any) -> Worker:
        argument = json.dumps(self.settings | {"role": role, "name": role} | settings)
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), argument, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
        )
        worker = Worker(process)
        self._workers.append(worker)
        await worker.says("open")
        return worker

    async def tear_down(self) -> None:
        for worker in self._workers:
            await worker.kill()
        for bus in self._buses:
            await bus.close(5.0)

    # --- reading -------------------------------------------------------------------------------

    async def records(self, bus: Bus, topic: str) -> list[Record]:
        """Everything in a topic, partition after partition."""
        found: list[Record] = []
        for partition, (first, after) in sorted((await bus.bounds(topic)).items()):
            at = first
            while at < after and (records := await bus.read(topic, partition, at)):
                found.extend(records)
                at = records[-1].offset + 1
        return found

    async def values(self, bus: Bus, topic: str) -> list[bytes]:
        return [record.value or b"" for record in await self.records(bus, topic)]

    async def wait_for_count(self, bus: Bus, topic: str, count: int) -> list[Record]:
        """The records of a topic once there are at least that many."""
        found: list[Record] = []

        async def enough() -> bool:
            nonlocal found
            found = await self.records(bus, topic)
            return len(found) >= count

        await self.eventually(enough)
        return found

    async def wait_until_caught_up(self, bus: Bus, group: str) -> None:
        async def caught_up() -> bool:
            lags = await bus.lag(group)
            return bool(lags) and not any(lags.values())

        await self.eventually(caught_up)

    async def eventually(self, holds: Callable[[], Awaitable[bool]]) -> None:
        ends = time.monotonic() + PATIENCE_S
        while not await holds():
            assert time.monotonic() < ends, "it never came true"
            await asyncio.sleep(0.01)


class EmbeddedEngine(Engine):
    """The embedded bus in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        super().__init__({"engine": "embedded", "path": str(folder), "dead_letters": DEAD, "lease_ttl_s": 1.0})
        self._folder = folder

    def make_bus(self, *, skip_lost: bool = False) -> EmbeddedBus:
        limits = Limits(lease_ttl_s=1.0, retention_every_s=0.05, fetch_bytes=1_000_000, skip_lost=skip_lost)
        return EmbeddedBus(self._folder, dead_letters=DEAD, limits=limits)

    async def lose_all_below_the_end(self, bus: Bus, topic: str) -> None:
        """The clock is moved beyond the topic's retention, and the housekeeper does the rest."""
        (spec,) = [spec for spec in await bus.topics() if spec.name == topic]
        assert spec.retention_ms is not None
        moving = clock.LaterClock()
        with clock.use(moving):

            async def gone() -> bool:
                moving.ahead_ms += spec.retention_ms or 0
                return all(first == after for first, after in (await bus.bounds(topic)).values())

            await self.eventually(gone)


_numbers = itertools.count()


class KafkaEngine(Engine):
    """A real broker. A test's groups and ids are its own; its topics are deleted after it."""

    def __init__(self, folder: Path, addresses: list[str]) -> None:
        application = f"test-{os.getpid()}-{next(_numbers)}"
        limits = {
            "session_timeout_ms": 1_500, "heartbeat_ms": 200, "rebalance_timeout_ms": 4_000, "fetch_bytes": 1_000_000,
            "partition_bytes": 500_000, "report_every_s": 0.02, "settle_s": 1.0, "restart_backoff_s": (0.05, 1.0),
        }  # fmt: skip
        super().__init__(
            {"engine": "kafka", "addresses": addresses, "application": application, "limits": limits,
             "path": str(folder)}
        )  # fmt: skip

    def make_bus(self, *, skip_lost: bool = False) -> KafkaBus:
        return KafkaBus(
            self.settings["addresses"],
            topics=Topics("test"),
            application=self.settings["application"],
            limits=msgspec.convert({**self.settings["limits"], "skip_lost": skip_lost}, KafkaLimits),
            state_dir=Path(self.settings["path"]),
        )

    async def lose_all_below_the_end(self, bus: Bus, topic: str) -> None:
        """What retention does, by the request an operator has for it."""
        assert isinstance(bus, KafkaBus)
        await bus.admin.delete_records({(topic, part): end for part, (_, end) in (await bus.bounds(topic)).items()})

    async def tear_down(self) -> None:
        for worker in self._workers:
            await worker.kill()
        for bus in self._buses:
            await bus.close(5.0)
        cleaner = self.make_bus()
        await cleaner.open()
        await cleaner.admin.delete([spec.name for spec in await cleaner.topics()])
        await cleaner.close()


@pytest.fixture(scope="session")
def kafka() -> Iterator[list[str]]:
    """The addresses of a broker that runs as long as the tests."""
    with cluster() as running:
        yield running.addresses


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.connected)])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """Each engine in turn, with nothing in it."""
    made: Engine
    if request.param == "kafka":
        made = KafkaEngine(tmp_path / "state", request.getfixturevalue("kafka"))
    else:
        made = EmbeddedEngine(tmp_path / "bus")
    yield made
    await made.tear_down()


@pytest.fixture
async def bus(engine: Engine) -> Bus:
    """An open bus with the suite's topics: two inputs, an output, a table, the dead letters; four partitions each."""
    opened = await engine.open()
    streams = [TopicSpec(name=name, partitions=4) for name in ("test.more", "test.out", DEAD)]
    passing = TopicSpec(name="test.in", partitions=4, retention_ms=3_600_000)
    await opened.ensure_topics([passing, *streams, TopicSpec(name="test.table", partitions=4, kind="table")])
    return opened
