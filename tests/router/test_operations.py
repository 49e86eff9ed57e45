"""What operators do while it runs: pause a queue, take new rules on a signal, watch a candidate, rehearse another."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from omnibus.bus.embedded import EmbeddedBus
from omnibus.bus.port import Out
from omnibus.bus.topics import Topics
from omnibus.cli.reading import records
from omnibus.cli.settings import configuration
from omnibus.cli.up import serve
from omnibus.model.codec import Event, decode
from omnibus.model.content import Text
from router.plan import plan_of
from router.rehearsal import Rehearsal, conversation_id

TOPICS = Topics()
PATIENCE_S = 60
CONFIG = """
bus: embedded:{folder}/bus
blobs: file:{folder}/blobs
partitions: 2
log: {{level: error}}
channels:
  site-chat: {{type: webhook}}
calendars:
  office: {{zone: UTC, hours: {{mon-fri: "09:00-17:00"}}, days: {{2026-12-24: closed}}}}
queues: {{general: {{calendar: office}}, billing: {{overflow: general}}}}
routes:
  - {{name: bills, when: "message.text.contains('bill')", to: queue:billing}}
"""


class Place:
    """A folder with a configuration, and the router running on it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "omnibus.yaml"
        self.text = CONFIG.format(folder=folder)
        self.write("")
        self._bus = EmbeddedBus(folder / "bus", dead_letters=TOPICS.dead_letters)
        self._traffic: Rehearsal | None = None
        self._names = itertools.count()

    def write(self, more: str) -> None:
        self.file.write_text(self.text + more)

    async def ask(self, *arguments: str) -> str:
        """What a command prints, in a process of its own."""
        command = (sys.executable, "-m", "omnibus.cli.main", *arguments, "-c", str(self.file))
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
        assert process.returncode == 0
        return printed.decode()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        up = asyncio.Event()
        config = configuration(self.file)
        work = asyncio.create_task(
            serve(config, ("router",), announce=lambda _: up.set(), reread=lambda: configuration(self.file))
        )
        await asyncio.wait({asyncio.create_task(up.wait()), work}, return_when=asyncio.FIRST_COMPLETED)
        await self._bus.open()
        self._traffic = Rehearsal(plan_of(config, TOPICS, {}))
        try:
            yield
        finally:
            await self._bus.close()
            os.kill(os.getpid(), signal.SIGTERM)
            await work

    async def says(self, text: str, name: str) -> str:
        """Somebody writes; the queue it is in."""
        assert self._traffic is not None
        outs = [self._traffic.opened(name), self._traffic.received(name, Text(text=text))]
        publisher = self._bus.publisher("test")
        await publisher.publish([Out(one.topic, one.key, one.value, one.headers) for one in outs])
        await publisher.close()
        [decision] = await self.until(TOPICS.events, lambda event: _decided(event, name))
        return str(decision.data.decision.target)

    async def says_until(self, text: str, queue: str) -> None:
        """People go on writing so until one of them is in that queue."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.says(text, f"n{next(self._names)}") != queue:
                pass

    async def until(self, topic: str, wanted: Callable[[Event], bool]) -> list[Event]:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = [decode(record) async for batch in records(self._bus, topic) for record in batch]
                if chosen := [event for event in found if wanted(event)]:
                    return chosen
                await asyncio.sleep(0.02)


def _decided(event: Event, name: str) -> bool:
    return event.subject == conversation_id(name) and event.type == "omnibus.routing.decided.v1"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_queue_is_paused_and_opened_from_the_command_line(place: Place) -> None:
    async with place.running():
        assert await place.says("bill", "a") == "billing"
        assert "billing is paused" in await place.ask("route", "pause", "billing")
        await place.says_until("bill", "general")
        await place.ask("route", "open", "billing")
        await place.says_until("bill", "billing")


async def test_new_rules_are_taken_on_a_signal_and_wrong_ones_are_not(place: Place) -> None:
    async with place.running():
        assert await place.says("hello", "a") == "general"
        place.write("  - {name: greetings, when: \"message.text == 'hello'\", to: queue:billing}\n")
        os.kill(os.getpid(), signal.SIGHUP)
        await place.says_until("hello", "billing")

        place.write('  - {name: wrong, when: "message.txt", to: queue:general}\n')
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        assert await place.says("hello", "c") == "billing"


async def test_a_candidate_decides_on_the_shadow_topic(place: Place, tmp_path: Path) -> None:
    candidate = tmp_path / "new.yaml"
    candidate.write_text(place.text.replace("to: queue:billing", "to: queue:general, priority: high"))
    place.write(f"shadow: {{rules: {candidate}}}\n")
    async with place.running():
        assert await place.says("bill", "a") == "billing"
        [shadow] = await place.until(TOPICS.shadow, lambda event: True)

    decision = shadow.data.decision
    assert (decision.mode, decision.target, decision.priority) == ("shadow", "general", "high")


async def test_another_rule_set_is_rehearsed_on_what_was_recorded(place: Place, tmp_path: Path) -> None:
    candidate = tmp_path / "new.yaml"
    candidate.write_text(place.text.replace("contains('bill')", "contains('hello')"))
    async with place.running():
        for number in range(3):
            await place.says("bill", f"b{number}")
            await place.says("hello", f"h{number}")
    said = await place.ask("route", "simulate", "--rules", str(candidate), "--json")
    found = msgspec.json.decode(said)

    assert (found["conversations"], found["moved"]) == (6, 6)
    assert found["volume"] == {"queue:billing": [3, 3], "queue:general": [3, 3]}
    table = await place.ask("route", "simulate", "--rules", str(candidate), "--from", "1h")
    assert "6 would move" in table


async def test_a_new_queue_is_taken_on_a_signal(place: Place) -> None:
    async with place.running():
        assert await place.says("bill", "a") == "billing"
        place.file.write_text(
            place.text.replace("queues: {", "queues: {vip: {}, ").replace("to: queue:billing", "to: queue:vip")
        )
        os.kill(os.getpid(), signal.SIGHUP)
        await place.says_until("bill", "vip")
