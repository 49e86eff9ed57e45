"""Old mail, taken into the log, wakes nobody: no bot, no clock, no survey, no word to whoever wrote it long ago."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from normalizer.policy import Policy
from normalizer.stage import NormalizerStage
from normalizer.stage import spec as normalizer_spec
from omnibus import clock
from omnibus.bus.port import Out, Record
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.registry import find
from omnibus.model.events import Resolve
from omnibus.model.raw import RawEvent, encode_raw
from omnibus.testing.memory_state import MemoryBacking, run
from router.automations.survey import SurveySettings
from router.plan import AccountPlan, AutomationPlan, Plan
from router.queues import QueuePlan, SlaPlan
from router.rehearsal import START_MS, Rehearsal, conversation_id
from router.rules.rule import Rule
from router.rules.ruleset import load_rules

TOPICS = Topics()
MINUTE = 60_000


def a_router() -> Rehearsal:
    """Everything to a bot; a queue with clocks, a survey and an alarm for what waits too long."""
    queues, automations = ("general",), ("faq",)
    rules = load_rules(
        [Rule(name="bot first", to="automation:faq")], default="queue:general", queues=queues, automations=automations
    )
    plan = Plan(
        topics=TOPICS,
        rules=rules,
        queues=queues,
        default_queue="general",
        queue_plans={"general": QueuePlan(survey="ask", sla=SlaPlan(targets_ms={"first_response": MINUTE}))},
        automations={
            "faq": AutomationPlan(hand_over_to="general", timeout_ms=MINUTE),
            "ask": AutomationPlan(hand_over_to="general", survey=SurveySettings()),
        },
        accounts={"support-mail": AccountPlan()},
    )
    return Rehearsal(plan)


class Pipeline:
    """A normalizer over the e-mail channel, and a router behind it."""

    def __init__(self) -> None:
        channel = find("email")
        settings = channel.settings(addresses=("help@example.com",))
        account = Account(name="support-mail", channel=channel, settings=settings, inactivity=channel.inactivity)
        self._policy = Policy()
        self._normalizer = NormalizerStage({"support-mail": account}, TOPICS, self._policy)
        self._backing = MemoryBacking()
        self._scope = account.scope
        self.router = a_router()
        self._stored = 0

    def mail(self, text: str, origin: str) -> None:
        self._stored += 1
        raw = RawEvent(
            id=f"raw_{self._stored}",
            channel="email",
            account="support-mail",
            received_at=clock.from_ms(self.router.now_ms),
            body=text.encode(),
            transport="imap",
            origin=origin,
            scope=self._scope,
            attributes={"own": "help@example.com"},
        )
        record = _record(Out(TOPICS.raw("email"), b"", encode_raw(raw)))
        spec = normalizer_spec(TOPICS, ["email"], self._policy)
        done = run(self._normalizer, spec, record, backing=self._backing, now_ms=self.router.now_ms)
        assert not done.dead
        self.router.step(*(_record(out) for out in done.outs if out.topic == TOPICS.events))

    def kinds(self) -> set[str]:
        """What the router told anybody, but for its own snapshots."""
        return set(self.router.kinds(TOPICS.events))

    def topics(self) -> set[str]:
        return {out.topic for out in self.router.written}


def _record(out: Out) -> Record:
    return Record(out.topic, 0, 0, out.ts_ms or START_MS, out.key, out.value, out.headers)


MAILS = (
    "From: ana@example.org\nSubject: Kettle\nMessage-ID: <1@example.org>\nDate: Mon, 2 Mar 2020 10:00:00 +0000\n\nHm?",
    "From: ana@example.org\nSubject: Re: Kettle\nMessage-ID: <2@example.org>\nReferences: <1@example.org>\n\nStill?",
    "From: bob@example.net\nSubject: Teapot\nMessage-ID: <3@example.net>\n\nIt leaks.",
)
SPEAKING = ("sla.", "survey.", "control.offered", "message.sent")


def speaking(kinds: Sequence[str] | set[str]) -> set[str]:
    return {kind for kind in kinds if kind.startswith(SPEAKING)}


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


def test_old_mail_starts_no_bot_no_clock_and_no_survey(pipeline: Pipeline) -> None:
    for text in MAILS:
        pipeline.mail(text, "backfill")
    pipeline.router.later(timedelta(days=30))

    assert speaking(pipeline.kinds()) == set()
    assert pipeline.topics() & {TOPICS.automation("faq"), TOPICS.automation("ask"), TOPICS.outbound("email")} == set()
    decisions = pipeline.router.decisions()
    assert {(each.outcome, each.target) for each in decisions} == {("queue", "general")}


def test_an_old_conversation_that_is_resolved_asks_nobody_how_it_was(pipeline: Pipeline) -> None:
    pipeline.mail(MAILS[0], "backfill")
    [opened] = {event.subject for event in pipeline.router.on(TOPICS.queue("general"))}
    pipeline.router.step(_for(pipeline.router.command(Resolve()), opened))
    pipeline.router.later(timedelta(days=30))
    assert speaking(pipeline.kinds()) == set()


def test_the_same_mail_live_starts_all_of_it(pipeline: Pipeline) -> None:
    """So that silence above is the mark's doing."""
    pipeline.mail(MAILS[2], "live")
    assert TOPICS.automation("faq") in pipeline.topics()
    pipeline.router.later(timedelta(days=1))
    assert "sla.breached" in pipeline.kinds()


def test_an_old_mail_of_a_live_conversation_does_not_wake_its_bot(pipeline: Pipeline) -> None:
    """A back-fill may bring what belongs before a conversation that is under way."""
    pipeline.mail(MAILS[1], "live")
    told = len(pipeline.router.on(TOPICS.automation("faq")))
    pipeline.mail("References: <2@example.org>\n" + MAILS[0], "backfill")
    assert len({event.subject for event in pipeline.router.on(TOPICS.events)}) == 1
    assert len(pipeline.router.on(TOPICS.automation("faq"))) == told


def test_a_thread_of_years_is_no_loop_of_robots(pipeline: Pipeline) -> None:
    for number in range(100):
        text = f"From: ana@example.org\nMessage-ID: <n{number}@example.org>\nReferences: <n0@example.org>\n\n{number}"
        pipeline.mail(text, "backfill")
    pipeline.mail("From: ana@example.org\nMessage-ID: <x@example.org>\nReferences: <n0@example.org>\n\nHi", "live")
    messages = [event.data.message for event in pipeline.router.on(TOPICS.queue("general")) if "received" in event.type]
    assert len(messages) >= 100
    assert not any(message.attributes.get("loop_suspected") for message in messages)


def _for(record: Record, conversation: str) -> Record:
    """A command for a conversation that the normalizer named."""
    value = (record.value or b"").replace(conversation_id("c1").encode(), conversation.encode())
    headers = tuple(
        (name, data.replace(conversation_id("c1").encode(), conversation.encode())) for name, data in record.headers
    )
    return Record(record.topic, record.partition, record.offset, record.ts_ms, conversation.encode(), value, headers)
