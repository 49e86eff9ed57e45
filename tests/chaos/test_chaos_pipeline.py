"""The real stages, each in processes of its own on one bus, killed and stopped while people write.

Oracle: every acknowledged message is in its queue exactly once and in the order it was written, and in the sink's file
exactly once, whatever was killed when.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from omnibus.bus.embedded import EmbeddedBus
from omnibus.bus.port import Record
from omnibus.cli.reading import records
from omnibus.model import codec
from omnibus.model.entities import Message
from omnibus.model.events import ConversationAssigned, MessageReceived
from omnibus.testing.ports import free_port

SECONDS = float(os.environ.get("OMNIBUS_CHAOS_SECONDS", "12"))
SEED = int(os.environ.get("OMNIBUS_CHAOS_SEED", "0")) or random.randrange(1, 1_000_000)
PEOPLE = 12
STOPPED_S = 7.0
"""Longer than a lease lives, so that a stopped process wakes up owning nothing."""
CONFIG = """
bus: embedded:./data
blobs: file:./data/blobs
partitions: 6
http: {{host: 127.0.0.1, port: {port}}}
log: {{level: error}}
channels:
  hook: {{type: webhook}}
queues: {{general: {{}}}}
routes:
  - {{name: everything, to: queue:general}}
sinks:
  files: {{type: jsonl, from: [queue:general], folder: ./queues}}
"""


@dataclass
class Stage:
    """A stage's process, started again whenever it is gone."""

    name: str
    folder: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "omnibus.cli.main", "run", self.name, cwd=self.folder,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


@dataclass
class Disturbed:
    """What was done to the stages."""

    kills: int = 0
    stops: int = 0
    stopping: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def stages(folder: Path, port: int) -> AsyncIterator[list[Stage]]:
    """Connectors that stay, and two processes of every other stage."""
    (folder / "omnibus.yaml").write_text(CONFIG.format(port=port))
    names = ["connectors", "normalizer", "normalizer", "router", "router", "sinks"]
    running = [Stage(name, folder) for name in names]
    try:
        await running[0].start()
        await answering(port)
        for stage in running[1:]:
            await stage.start()
        yield running
    finally:
        for stage in running:
            stage.signal(signal.SIGCONT)
            await stage.kill()


async def answering(port: int) -> None:
    async with asyncio.timeout(60), ClientSession() as session:
        while True:
            with contextlib.suppress(ClientError, OSError):
                async with session.get(f"http://127.0.0.1:{port}/health/live"):
                    return
            await asyncio.sleep(0.05)


async def write(port: int, person: int, until: float, acknowledged: dict[int, int]) -> None:
    """One person writes message after message; each number is written until it is acknowledged."""
    url = f"http://127.0.0.1:{port}/in/hook"
    number = 0
    async with ClientSession(timeout=ClientTimeout(total=20)) as session:
        while time.monotonic() < until:
            body = {"id": f"p{person}-{number}", "from": f"p{person}", "text": f"number {number}"}
            with contextlib.suppress(ClientError, TimeoutError, OSError):
                async with session.post(url, json=body) as answer:
                    if answer.status == 200:
                        acknowledged[person] = number
                        number += 1
            await asyncio.sleep(0.02)


async def disturb(running: Sequence[Stage], until: float, chance: random.Random) -> Disturbed:
    """Kill or stop one of the processes every now and then; a stopped one is continued after its leases are gone."""
    done = Disturbed()
    victims = running[1:]
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(0.4, 1.5))
        victim = chance.choice(victims)
        if chance.random() < 0.25 and victim.name != "sinks" and not done.stopping:
            victim.signal(signal.SIGSTOP)
            done.stops += 1
            task = asyncio.create_task(continue_later(victim))
            done.stopping.add(task)
            task.add_done_callback(done.stopping.discard)
        else:
            await victim.kill()
            await victim.start()
            done.kills += 1
    await asyncio.gather(*done.stopping)
    return done


async def continue_later(stage: Stage) -> None:
    await asyncio.sleep(STOPPED_S)
    stage.signal(signal.SIGCONT)


async def settled(folder: Path) -> list[Record]:
    """The queue's records once every stage has caught up."""
    bus = EmbeddedBus(folder / "data", dead_letters="omnibus.dead-letters")
    await bus.open()
    try:
        async with asyncio.timeout(90):
            while await behind(bus):  # noqa: ASYNC110 - other processes do the work: there is nothing to wait on here
                await asyncio.sleep(0.1)
        return [record async for batch in records(bus, "omnibus.queue.general") for record in batch]
    finally:
        await bus.close()


async def behind(bus: EmbeddedBus) -> int:
    """Records nobody has taken yet; a group that has never begun counts as behind."""
    lags = [await bus.lag(name) for name in ("normalizer", "router", "sink.files")]
    return sum(sum(lag.values()) if lag else 1 for lag in lags)


def numbers_in_queue(found: Sequence[Record]) -> dict[int, list[int]]:
    """Per person, the numbers in the order in which the queue has them."""
    numbers: dict[int, list[int]] = defaultdict(list)
    for record in found:
        for message in messages_of(record):
            person, _, number = (message.native.message_id or "").partition("-")
            numbers[int(person[1:])].append(int(number))
    return numbers


def messages_of(record: Record) -> Sequence[Message]:
    """The messages a queue record brings: the first ones with the assignment, later ones each for itself."""
    data = codec.decode(record).data
    if isinstance(data, ConversationAssigned):
        return data.recent
    return (data.message,) if isinstance(data, MessageReceived) else ()


def numbers_in_file(folder: Path) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for path in sorted((folder / "queues").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            data = json.loads(line)["data"]
            for message in (*data.get("recent", ()), *filter(None, [data.get("message")])):
                person, _, number = message["native"]["message_id"].partition("-")
                numbers[int(person[1:])].append(int(number))
    return numbers


@pytest.mark.timeout(int(SECONDS) + 240)
async def test_killing_any_stage_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    port = free_port()
    acknowledged: dict[int, int] = {}
    async with stages(tmp_path, port) as running:
        until = time.monotonic() + SECONDS
        writers = [asyncio.create_task(write(port, person, until, acknowledged)) for person in range(PEOPLE)]
        done = await disturb(running, until, random.Random(SEED))
        await asyncio.gather(*writers)
        found = await settled(tmp_path)
    what = f"seed {SEED}, {done.kills} kills, {done.stops} stops, {sum(acknowledged.values()) + PEOPLE} messages"
    wanted = {person: list(range(last + 1)) for person, last in acknowledged.items()}
    assert len(wanted) == PEOPLE, what
    assert done.kills > 0, what
    # A number sent again because its answer was lost is the same message: it may be in the log without being counted.
    queued = {person: numbers[: len(wanted[person])] for person, numbers in numbers_in_queue(found).items()}
    assert queued == wanted, what
    assert {person: sorted(set(numbers)) for person, numbers in numbers_in_queue(found).items()} == numbers_in_queue(
        found
    ), f"something came twice: {what}"
    assert numbers_in_file(tmp_path) == numbers_in_queue(found), what
