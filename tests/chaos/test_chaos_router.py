"""The real router killed and stopped at random, with its timers in the oracle.

Oracle: every conversation is decided once, belongs to one place at a time, its clocks warn and run out exactly once and
never early, and in the end the counts of the queues are those of the conversations.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import pytest

from omnibus import clock
from omnibus.bus.embedded import EmbeddedBus, Limits
from omnibus.bus.port import Out, Record
from omnibus.cli.reading import records
from omnibus.model.codec import Event, decode
from omnibus.model.content import Text
from omnibus.model.entities import Conversation
from router.board import counted_in
from router.rehearsal import Rehearsal, a_reply, conversation_id
from tests.chaos.router_worker import TOPICS, the_plan

SECONDS = float(os.environ.get("OMNIBUS_CHAOS_SECONDS", "12"))
SEED = int(os.environ.get("OMNIBUS_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
WORKER = Path(__file__).with_name("router_worker.py")
LEASE_TTL_S = 0.8
PARTITIONS = 4
TEXTS = ("hello", "bill", "steps", "bot")
LAST_DUE_S = 6.0
"""The bot's second, the targets' second and the two of the clock, with something to spare."""


class Workers:
    """Processes of the router; one that is killed is started again."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._settings = json.dumps([str(folder), LEASE_TTL_S])
        self._chance = chance
        self._all: list[asyncio.subprocess.Process] = []
        self.kills = self.stops = 0

    async def start(self, count: int) -> None:
        self._all = [await self._one() for _ in range(count)]

    async def _one(self) -> asyncio.subprocess.Process:
        root = str(Path(__file__).parents[2])
        worker = await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), self._settings, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": root},
        )  # fmt: skip
        assert worker.stdout is not None
        async with asyncio.timeout(60):
            await worker.stdout.readline()
        return worker

    async def disturb_until(self, ends: float) -> None:
        while time.monotonic() < ends:
            await asyncio.sleep(self._chance.uniform(0.3, 1.2))
            at = self._chance.randrange(len(self._all))
            if self._chance.random() < 0.6:
                await self._kill(self._all[at])
                self._all[at] = await self._one()
                self.kills += 1
            else:
                self._all[at].send_signal(signal.SIGSTOP)
                await asyncio.sleep(self._chance.uniform(0.5, 2.5) * LEASE_TTL_S)
                self._all[at].send_signal(signal.SIGCONT)
                self.stops += 1

    async def _kill(self, worker: asyncio.subprocess.Process) -> None:
        if worker.returncode is None:
            worker.send_signal(signal.SIGCONT)
            worker.kill()
        await worker.communicate()

    async def end(self) -> None:
        for worker in self._all:
            await self._kill(worker)


class Traffic:
    """What people write; every third conversation is answered at once."""

    def __init__(self) -> None:
        self._made = Rehearsal(the_plan())
        self.texts: dict[str, str] = {}
        self.answered: set[str] = set()

    def conversation(self) -> list[Record]:
        self._made.now_ms = clock.now_ms()
        name = f"c{len(self.texts)}"
        text = TEXTS[len(self.texts) % len(TEXTS)]
        self.texts[conversation_id(name)] = text
        written = [self._made.opened(name), self._made.received(name, Text(text=text))]
        if len(self.texts) % 3 == 0:
            self.answered.add(conversation_id(name))
            written.append(self._made.command(a_reply("hello"), name))
        return written


async def publish_until(bus: EmbeddedBus, ends: float, traffic: Traffic, chance: random.Random) -> None:
    publisher = bus.publisher("chaos")
    while time.monotonic() < ends:
        written = traffic.conversation()
        message = [one for one in written if one.topic == TOPICS.events]
        await publisher.publish([Out(one.topic, one.key, one.value, one.headers) for one in message])
        answers = [one for one in written if one.topic == TOPICS.commands]
        if answers:
            await decided(bus, answers[0].key or b"")
            await publisher.publish([Out(one.topic, one.key, one.value, one.headers) for one in answers])
        await asyncio.sleep(chance.uniform(0, 0.05))
    await publisher.close()


async def decided(bus: EmbeddedBus, key: bytes) -> None:
    """Until the router knows the conversation: an agent answers only what is in a queue."""
    table = await bus.global_table(TOPICS.conversations)
    async with asyncio.timeout(30):
        while table.get(key) is None:  # noqa: ASYNC110 - other processes do the work
            await asyncio.sleep(0.02)


async def everything(bus: EmbeddedBus, topic: str) -> list[Record]:
    return [record async for batch in records(bus, topic) for record in batch]


async def settle(bus: EmbeddedBus) -> None:
    """Until nothing is unread and nothing new is written for longer than any timer runs."""
    async with asyncio.timeout(120):
        last, since = -1, time.monotonic()
        while time.monotonic() - since < LAST_DUE_S or any((await bus.lag("router")).values()):
            written = sum(end for _, end in (await bus.bounds(TOPICS.events)).values())
            if written != last:
                last, since = written, time.monotonic()
            await asyncio.sleep(0.1)


# --- the oracle ---------------------------------------------------------------------------------


def judge(events: list[Event], owners: list[Record], traffic: Traffic) -> list[str]:
    """Everything that is not as it must be."""
    complaints = [f"event {name} {count} times" for name, count in Counter(e.id for e in events).items() if count > 1]
    by_conversation: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.source == "/omnibus/router":
            by_conversation[event.subject].append(event)
    for name, text in traffic.texts.items():
        complaints += judge_one(name, text, by_conversation[name], name in traffic.answered)
    return complaints + judge_owners(owners)


def judge_one(name: str, text: str, events: list[Event], answered: bool) -> list[str]:
    kinds = Counter(event.type.removeprefix("omnibus.").removesuffix(".v1") for event in events)
    sla = [event for event in events if event.type.startswith("omnibus.sla.")]
    numbers = sorted(event.convseq or 0 for event in events)
    complaints = []
    if numbers != list(range(1, len(numbers) + 1)):
        complaints.append(f"{name}: its events are numbered {numbers}")
    early = [event for event in sla if not event.type.endswith("met.v1") and (event.recordedtime or 0) < event.time]
    complaints += [f"{name}: {event.type} is early" for event in early]
    moves = 2 if text == "steps" and kinds["conversation.assigned"] > 1 else 1
    if kinds["routing.decided"] != moves:
        complaints.append(f"{name} ({text}): decided {kinds['routing.decided']} times")
    over = kinds["sla.met"] + kinds["sla.breached"]
    if over > 2 or kinds["sla.warning"] > 1 or kinds["sla.breached"] > 1 or kinds["sla.met"] > 1:
        complaints.append(f"{name} ({text}): {dict(kinds)}")
    if not answered and (kinds["sla.breached"], kinds["sla.warning"]) != (1, 1):
        complaints.append(f"{name} ({text}) was never answered: {dict(kinds)}")
    if not answered and text == "bot" and kinds["control.timed_out"] != 1:
        complaints.append(f"{name}: the bot was silent, {dict(kinds)}")
    if not answered and text == "steps" and kinds["routing.decided"] != 2:
        complaints.append(f"{name}: the first target was silent, {dict(kinds)}")
    if answered and text != "bot" and kinds["sla.met"] + kinds["sla.breached"] == 0:
        complaints.append(f"{name} ({text}) was answered: {dict(kinds)}")
    return complaints


def judge_owners(owners: list[Record]) -> list[str]:
    """A conversation has left one place before it is in the next: places it was given to, less those it left."""
    held: Counter[tuple[str, str]] = Counter()
    for record in owners:
        event = decode(record)
        change = {"omnibus.conversation.assigned.v1": 1, "omnibus.conversation.unassigned.v1": -1}.get(event.type, 0)
        held[event.subject, record.topic] += change
    now: Counter[str] = Counter()
    for (name, _), count in held.items():
        now[name] += count
    return [f"{name} is in {count} places" for name, count in now.items() if count != 1]


def counts_of(values: list[bytes]) -> Counter[str]:
    total: Counter[str] = Counter()
    for value in values:
        total.update(msgspec.json.decode(value, type=dict[str, int]))
    return +total


@pytest.mark.timeout(int(SECONDS) + 240)
async def test_the_router_decides_once_and_its_clocks_ring_once(tmp_path: Path) -> None:
    chance, traffic = random.Random(SEED), Traffic()
    workers = Workers(tmp_path, chance)
    bus = EmbeddedBus(tmp_path, dead_letters=TOPICS.dead_letters, limits=Limits(lease_ttl_s=LEASE_TTL_S))
    await bus.open()
    try:
        plan = the_plan()
        await bus.ensure_topics(
            TOPICS.all_specs(
                partitions=PARTITIONS, channels=["webchat"], queues=plan.queues, automations=plan.automations
            )
        )
        await workers.start(3)
        ends = time.monotonic() + SECONDS
        await asyncio.gather(publish_until(bus, ends, traffic, chance), workers.disturb_until(ends))
        await settle(bus)
        told = [TOPICS.events, TOPICS.outbound("webchat")]
        events = [decode(record) for topic in told for record in await everything(bus, topic)]
        owners = [
            record
            for topic in (*map(TOPICS.queue, plan.queues), *map(TOPICS.automation, plan.automations))
            for record in await everything(bus, topic)
        ]
        complaints = judge(events, owners, traffic)
        table, board = await bus.global_table(TOPICS.conversations), await bus.global_table(TOPICS.routing)
        snapshots = [msgspec.json.decode(value, type=Conversation) for _, value in table.scan(b"", 100_000)]
        actual = Counter(queue for one in snapshots if (queue := counted_in(one)) is not None)
        counted = counts_of([value for _, value in board.scan(b"load/")])
        dead = await everything(bus, TOPICS.dead_letters)
    finally:
        await workers.end()
        await bus.close()
    what = f"OMNIBUS_CHAOS_SEED={SEED}: {len(traffic.texts)} conversations, {workers.kills}/{workers.stops} kills/stops"
    print(what)
    assert complaints[:5] == [], what
    assert dead == [], what
    assert counted == actual, what
    assert workers.kills > 0, what
    assert len(traffic.texts) > 20, what
