"""Capacity, clocks over a restart, targets, sticky rules and surveys: the real stage over several partitions of a bus.

Nobody's clock goes an hour ahead here: a broker refuses records that far from its own time (its setting
`log.message.timestamp.after.max.ms`, https://kafka.apache.org/documentation/#brokerconfigs_log.message.timestamp.after.max.ms).
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omnibus import clock
from omnibus.bus.embedded import EmbeddedBus
from omnibus.bus.kafka import KafkaBus
from omnibus.bus.kafka import Limits as KafkaLimits
from omnibus.bus.partition import partition_of
from omnibus.bus.port import Bus, Out, Record
from omnibus.bus.topics import Topics
from omnibus.model.base import Model
from omnibus.model.codec import Event, decode
from omnibus.model.content import Choices, Text
from omnibus.model.entities import Conversation
from omnibus.model.events import Resolve
from omnibus.testing.kafka import cluster
from router.automations.survey import SurveySettings
from router.plan import AccountPlan, AutomationPlan, Plan
from router.queues import QueuePlan, SlaPlan
from router.rehearsal import ACCOUNT, Rehearsal, a_reply, conversation_id
from router.rules.rule import Rule, RuleTarget, StickyRule
from router.rules.ruleset import load_rules
from router.stage import RouterStage, spec

pytestmark = pytest.mark.timeout(180)
PARTITIONS = 3
QUEUES = ("general", "billing", "leads")
MINUTE = 60_000
PATIENCE_S = 60
_runs = itertools.count()


class Office:
    """The router's stage on a bus, people who write, and what came of it."""

    def __init__(self, make_bus: Callable[[], Bus], topics: Topics, hands: clock.LaterClock) -> None:
        self._make_bus = make_bus
        self._hands = hands
        self.topics = topics
        self.bus: Bus

    async def opens(self, *rules: Rule, **fields: Any) -> None:
        """Begin with these rules; `fields` are others of the plan."""
        plan = Plan(
            **{
                "topics": self.topics,
                "rules": load_rules(rules, default="queue:general", queues=QUEUES, automations=("faq",)),
                "queues": QUEUES,
                "default_queue": "general",
                "automations": {"faq": AutomationPlan(hand_over_to="billing", timeout_ms=20 * MINUTE)},
                "accounts": {ACCOUNT: AccountPlan(inactivity_ms=10_000 * MINUTE)},
                **fields,
            }
        )
        self._plan = plan
        self._people = Rehearsal(plan)
        self.bus = await self._opened()
        await self.bus.ensure_topics(
            self.topics.all_specs(
                partitions=PARTITIONS, channels=["webchat"], queues=QUEUES, automations=plan.automations
            )
        )
        await self._route()

    async def _opened(self) -> Bus:
        bus = self._make_bus()
        await bus.open()
        return bus

    async def _route(self) -> None:
        await self.bus.run_stage(spec(self.topics), lambda _: RouterStage(lambda: self._plan)).start()

    async def restarts(self) -> None:
        """Everything ends, and begins again with what the bus has kept."""
        await self.bus.close(10)
        self.bus = await self._opened()
        await self._route()

    def passes(self, by: timedelta) -> None:
        self._hands.ahead_ms += int(by.total_seconds() * 1000)

    async def says(self, text: str, name: str, *, contact: str | None = None) -> None:
        """A contact writes in a new conversation."""
        self._people.now_ms = clock.now_ms()
        more: dict[str, Any] = {} if contact is None else {"contact_id": contact}
        await self._publish(self._people.opened(name, **more), self._people.received(name, Text(text=text)))

    async def says_more(self, text: str, name: str) -> None:
        self._people.now_ms = clock.now_ms()
        await self._publish(self._people.received(name, Text(text=text)))

    async def does(self, name: str, *commands: Model) -> None:
        self._people.now_ms = clock.now_ms()
        await self._publish(*(self._people.command(one, name) for one in commands))

    async def _publish(self, *records: Record) -> None:
        publisher = self.bus.publisher("people")
        await publisher.publish([Out(one.topic, one.key, one.value, one.headers) for one in records])
        await publisher.close()

    async def until(self, name: str, holds: Callable[[Conversation], bool]) -> Conversation:
        """The conversation, once this is true of it."""
        table = await self.bus.global_table(self.topics.conversations)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                value = table.get(conversation_id(name).encode())
                found = None if value is None else msgspec.json.decode(value, type=Conversation)
                if found is not None and holds(found):
                    return found
                await asyncio.sleep(0.05)

    async def in_queue(self, name: str, queue: str) -> None:
        await self.until(name, lambda found: found.queue == queue)

    async def told(self, topic: str, holds: Callable[[list[Event]], bool]) -> list[Event]:
        """Everything on a topic, once this is true of it."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(found := await self._read(topic)):  # noqa: ASYNC110 - the stage writes it
                await asyncio.sleep(0.05)
        return found

    async def _read(self, topic: str) -> list[Event]:
        found = []
        for part, (at, end) in (await self.bus.bounds(topic)).items():
            while at < end and (records := await self.bus.read(topic, part, at)):
                found += [decode(record) for record in records]
                at = records[-1].offset + 1
        return found

    async def load_is(self, queue: str, count: int) -> None:
        """Until the partitions have told each other so."""
        table = await self.bus.global_table(self.topics.routing)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                told = [msgspec.json.decode(value, type=dict[str, int]) for _, value in table.scan(b"load/")]
                if sum(one.get(queue, 0) for one in told) == count:
                    return
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def broker() -> Iterator[list[str]]:
    with cluster() as running:
        yield running.addresses


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.connected)])
async def office(request: pytest.FixtureRequest, tmp_path: Path, later: clock.LaterClock) -> AsyncIterator[Office]:
    """On each bus in turn, with nothing in it."""
    topics = Topics(f"office{os.getpid()}x{next(_runs)}")

    def embedded() -> Bus:
        return EmbeddedBus(tmp_path, dead_letters=topics.dead_letters)

    def kafka() -> Bus:
        # Without the folder of the run before, state comes from the changelog.
        limits = KafkaLimits(session_timeout_ms=6_000, heartbeat_ms=300, rebalance_timeout_ms=8_000)
        folder = tmp_path / str(next(_runs))
        return KafkaBus(request.getfixturevalue("broker"), topics=topics, limits=limits, state_dir=folder)

    made = Office(embedded if request.param == "embedded" else kafka, topics, later)
    yield made
    await made.bus.close(10)


def named(partition: int, count: int = 1) -> list[str]:
    """Names of conversations of that partition."""
    names = (f"c{partition}-{number}" for number in itertools.count())
    ours = (name for name in names if partition_of(conversation_id(name).encode(), PARTITIONS) == partition)
    return list(itertools.islice(ours, count))


def kinds(events: list[Event], noun: str) -> list[str]:
    return [event.type.split(".")[2] for event in events if event.type.startswith(f"omnibus.{noun}.")]


async def test_a_queue_is_full_whichever_partition_counts(office: Office) -> None:
    plans = {"billing": QueuePlan(capacity=2, overflow="leads")}
    await office.opens(Rule(name="all", to="queue:billing"), queue_plans=plans)
    [first], [second], [third, fourth] = named(0), named(1), named(2, 2)
    await office.says("hi", first)
    await office.says("hi", second)
    await office.load_is("billing", 2)

    await office.says("hi", third)

    await office.in_queue(third, "leads")
    await office.does(first, Resolve())
    await office.load_is("billing", 1)
    # A partition keeps the others' counts for a moment.
    office.passes(timedelta(seconds=1))
    await office.says("hi", fourth)
    await office.in_queue(fourth, "billing")


async def test_clocks_ring_once_and_at_their_time_after_a_restart(office: Office) -> None:
    sla = SlaPlan(targets_ms={"first_response": 20 * MINUTE}, warn_at=0.5)
    await office.opens(queue_plans={"general": QueuePlan(sla=sla)})
    names = [name for partition in range(PARTITIONS) for name in named(partition, 2)]
    for name in names:
        await office.says("hi", name)
    shown = [await office.until(name, lambda found: found.sla is not None) for name in names]
    due = {one.id: one.sla.targets[0].due_at for one in shown if one.sla is not None}
    await office.restarts()

    office.passes(timedelta(minutes=25))

    def rung(events: list[Event]) -> bool:
        return kinds(events, "sla").count("breached") == len(names)

    events = await office.told(office.topics.events, rung)
    assert sorted(kinds(events, "sla")) == ["breached"] * len(names) + ["warning"] * len(names)
    breached = {event.subject: event.time for event in events if event.type == "omnibus.sla.breached.v1"}
    assert breached == {name: clock.to_ms(at) for name, at in due.items()}


async def test_targets_are_tried_in_order_and_an_automation_may_be_one(office: Office) -> None:
    steps = (
        RuleTarget(queue="leads", timeout_ms=10 * MINUTE),
        RuleTarget(automation="faq", timeout_ms=10 * MINUTE),
        RuleTarget(queue="billing", priority="urgent"),
    )
    await office.opens(Rule(name="steps", targets=steps))
    [name] = named(1)
    await office.says("hi", name)
    await office.in_queue(name, "leads")
    await office.restarts()

    office.passes(timedelta(minutes=10))
    await office.until(name, lambda found: found.controller.id == "faq")
    office.passes(timedelta(minutes=10))

    found = await office.until(name, lambda found: found.queue == "billing")
    assert found.priority == "urgent"
    assert "timed_out" in kinds(await office.told(office.topics.automation("faq"), bool), "control")


async def test_a_contact_comes_back_to_the_queue_of_another_partitions_conversation(office: Office) -> None:
    back = Rule(name="back", sticky=StickyRule(within_ms=220 * MINUTE, agent=True))
    bills = Rule(name="bills", when="message.text == 'bill'", to="queue:billing")
    await office.opens(back, bills)
    [first], [second] = named(0), named(2)
    await office.says("bill", first, contact="cnt_ana")
    await office.in_queue(first, "billing")
    await office.does(first, a_reply("hello"), Resolve())
    table = await office.bus.global_table(office.topics.routing)
    await office.until(first, lambda found: found.status == "resolved")
    async with asyncio.timeout(PATIENCE_S):
        while b"agent-7" not in (table.get(b"contact/cnt_ana") or b""):  # noqa: ASYNC110 - the stage writes it
            await asyncio.sleep(0.05)

    await office.says("me again", second, contact="cnt_ana")

    found = await office.until(second, lambda found: found.queue is not None)
    assert (found.queue, found.assignee) == ("billing", "agent-7")


async def test_a_survey_is_asked_after_a_restart_and_its_answer_counts(office: Office) -> None:
    ask = AutomationPlan(hand_over_to="general", survey=SurveySettings(after=timedelta(minutes=10)))
    await office.opens(queue_plans={"general": QueuePlan(survey="ask")}, automations={"ask": ask})
    [name] = named(1)
    await office.says("hi", name)
    await office.in_queue(name, "general")
    await office.does(name, a_reply("hello"), Resolve())
    await office.until(name, lambda found: found.status == "resolved")
    await office.restarts()

    office.passes(timedelta(minutes=10))
    sent = await office.told(office.topics.outbound("webchat"), lambda events: len(events) == 2)
    assert isinstance(sent[1].data.message.content, Choices)
    await office.says_more("5, very kind", name)

    events = await office.told(office.topics.events, lambda events: "answered" in kinds(events, "survey"))
    [answer] = [event.data.response for event in events if event.type == "omnibus.survey.answered.v1"]
    assert (answer.score, answer.comment) == (5, "very kind")
    assert kinds(events, "survey") == ["sent", "answered"]
