"""Whatever happens in whatever order: one controller, one queue at most, and the same again when replayed."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from omnibus.bus.port import Record
from omnibus.bus.topics import Topics
from omnibus.config.model import Escalation
from omnibus.model.content import Text
from omnibus.model.events import Reopen, Resolve, Tag, Transfer
from router.automations.survey import SurveySettings
from router.hours import CalendarSettings, calendars_of
from router.plan import AccountPlan, AutomationPlan, Plan
from router.queues import QueuePlan, SlaPlan
from router.rehearsal import ACCOUNT, Rehearsal, a_reply
from router.rules.rule import Rule, RuleTarget
from router.rules.ruleset import load_rules
from router.sections import BreakerSettings

QUEUES = ("general", "billing", "leads")
OFFICE = calendars_of({"office": CalendarSettings(zone="America/Sao_Paulo", hours={"mon-fri": "06:30-08:00"})})
MINUTE = 60_000
CLOCKS = SlaPlan(
    targets_ms={"first_response": MINUTE, "next_response": MINUTE, "resolution": 10 * MINUTE},
    escalate=(Escalation(on="warning", priority="high"), Escalation(on="breach", queue="general", notify="late")),
)
PLAN = Plan(
    topics=Topics(),
    rules=load_rules(
        [
            Rule(name="bills", when="message.text.contains('bill')", to="queue:billing"),
            Rule(name="wait", when="message.text == 'wait'", to="hold"),
            Rule(name="bot", when="message.text == 'bot'", to="automation:faq"),
            Rule(
                name="steps",
                when="message.text == 'steps'",
                targets=(
                    RuleTarget(queue="leads", timeout_ms=MINUTE // 2),
                    RuleTarget(queue="billing", timeout_ms=MINUTE // 2, unless="queue.load['billing'] > 3"),
                    RuleTarget(automation="faq", timeout_ms=MINUTE // 4),
                    RuleTarget(queue="general"),
                ),
            ),
            Rule(name="split", when="message.text == 'split'", split={"queue:leads": 1, "automation:faq": 1}),
        ],
        default="queue:general",
        queues=QUEUES,
        automations=("faq",),
    ),
    queues=QUEUES,
    default_queue="general",
    automations={
        "faq": AutomationPlan(hand_over_to="billing", timeout_ms=30_000),
        "ask": AutomationPlan(hand_over_to="general", survey=SurveySettings()),
    },
    accounts={ACCOUNT: AccountPlan()},
    breaker=BreakerSettings(messages=4),
    calendars=OFFICE,
    queue_plans={
        "general": QueuePlan(raise_priority_after_ms=MINUTE, survey="ask"),
        "billing": QueuePlan(calendar=OFFICE["office"], sla=CLOCKS, out_of_hours="automation:faq"),
        "leads": QueuePlan(sla=CLOCKS, capacity=1, overflow="billing", survey="ask"),
    },
)

SAID = ("bill", "wait", "bot", "steps", "split", "5", "hello", "quero falar com um atendente", "automatic")
ACTIONS = (
    *(f"say {text}" for text in SAID),
    "agent replies",
    "bot replies",
    "resolve",
    "reopen",
    "tag",
    "to billing",
    "to general",
    "to faq",
    "to nowhere",
    "bot hands over",
    "later",
    "much later",
    "close",
)


def act(router: Rehearsal, action: str, seen: list[tuple[int, list[Record]]]) -> None:
    """Do it, and note what the router was given."""
    commands = {
        "agent replies": a_reply("hello"),
        "bot replies": a_reply("beep", bot="faq"),
        "resolve": Resolve(),
        "reopen": Reopen(),
        "tag": Tag(add=("x",)),
        "to billing": Transfer(to="queue:billing"),
        "to general": Transfer(to="queue:general"),
        "to faq": Transfer(to="automation:faq"),
        "to nowhere": Transfer(to="queue:nowhere"),
        "bot hands over": Transfer(to="queue:general", author=a_reply("", bot="faq").author),
    }
    records: list[Record] = []
    if action.startswith("say "):
        auto = "auto_reply" if action == "say automatic" else "no"
        records = [router.received("c1", Text(text=action.removeprefix("say ")), auto_submitted=auto)]
    elif action in commands:
        records = [router.command(commands[action])]
    elif action == "close":
        records = [router.closed()]
    else:
        router.now_ms += int(timedelta(days=2 if action == "much later" else 0, seconds=40).total_seconds() * 1000)
    seen.append((router.now_ms, records))
    router.step(*records)
    router.later(timedelta(0))


def check(router: Rehearsal) -> None:
    """One controller; its queue is the conversation's queue; nobody has a closed one."""
    conversation = router.conversation()
    controller = conversation.controller
    assert controller.type in ("none", "queue", "automation")
    assert conversation.queue == (controller.id if controller.type == "queue" else None)
    if conversation.status == "closed":
        assert controller.type == "none"


def clocks(router: Rehearsal) -> None:
    """A clock runs out once at most, never early; the counts of queues are those of their conversations."""
    told = [event for event in router.on("omnibus.events") if event.type.startswith("omnibus.sla.")]
    assert all((event.recordedtime or 0) >= event.time for event in told)
    first = [event.type for event in told if event.data.target.metric == "first_response"]
    assert max((first.count(kind) for kind in first if "warning" not in kind), default=0) <= 1
    ids = [event.id for event in router.on("omnibus.events")]
    assert len(ids) == len(set(ids))
    router.later(timedelta(seconds=1))
    conversation = router.conversation()
    counted = conversation.queue if conversation.status not in ("resolved", "closed") else None
    loads = router.table.get(b"load/0")
    assert loads is None or msgspec.json.decode(loads) == ({} if counted is None else {counted: 1})


def owners(router: Rehearsal) -> None:
    """Every owner but the last one has been told that it lost the conversation before the next one got it."""
    holder: str | None = None
    for out in router.written:
        kind = dict(out.headers).get("ce_type", b"").decode()
        if not out.topic.startswith(("omnibus.queue.", "omnibus.automation.")):
            continue
        if kind == "omnibus.conversation.assigned.v1":
            assert holder is None
            holder = out.topic
        elif kind == "omnibus.conversation.unassigned.v1":
            assert holder == out.topic
            holder = None
        else:
            assert holder == out.topic, kind


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(ACTIONS), max_size=25))
def test_a_conversation_always_has_exactly_one_controller(actions: list[str]) -> None:
    router = Rehearsal(PLAN)
    seen: list[tuple[int, list[Record]]] = [(router.now_ms, [router.opened()])]
    router.step(*seen[0][1])
    for action in actions:
        act(router, action, seen)
        if router.kinds("omnibus.conversations"):
            check(router)
    owners(router)
    written = list(router.written)
    if router.kinds("omnibus.conversations"):
        clocks(router)
    assert not router.dead or "close" in actions

    again = Rehearsal(PLAN)
    for now_ms, records in seen:
        again.now_ms = now_ms
        again.step(*records)
        again.later(timedelta(0))
        again.step(*records)  # and redelivery changes nothing
    assert again.written == written
