"""Whatever happens in whatever order: one controller, one queue at most, and the same again when replayed."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from omnibus.bus.port import Record
from omnibus.bus.topics import Topics
from omnibus.model.content import Text
from omnibus.model.events import Reopen, Resolve, Tag, Transfer
from router.plan import AccountPlan, AutomationPlan, Plan
from router.rehearsal import ACCOUNT, Rehearsal, a_reply
from router.rules.rule import Rule
from router.rules.ruleset import load_rules

QUEUES = ("general", "billing")
PLAN = Plan(
    topics=Topics(),
    rules=load_rules(
        [
            Rule(name="bills", when="message.text.contains('bill')", to="queue:billing"),
            Rule(name="wait", when="message.text == 'wait'", to="hold"),
            Rule(name="bot", when="message.text == 'bot'", to="automation:faq"),
        ],
        default="queue:general",
        queues=QUEUES,
        automations=("faq",),
    ),
    queues=QUEUES,
    default_queue="general",
    automations={"faq": AutomationPlan(hand_over_to="billing", timeout_ms=30_000)},
    accounts={ACCOUNT: AccountPlan()},
)

ACTIONS = (
    *(f"say {text}" for text in ("bill", "wait", "bot", "hello", "quero falar com um atendente", "automatic")),
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


def check(router: Rehearsal) -> None:
    """One controller; its queue is the conversation's queue; nobody has a closed one."""
    conversation = router.conversation()
    controller = conversation.controller
    assert controller.type in ("none", "queue", "automation")
    assert conversation.queue == (controller.id if controller.type == "queue" else None)
    if conversation.status == "closed":
        assert controller.type == "none"


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


@settings(max_examples=100, deadline=None)
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
    assert not router.dead or "close" in actions

    again = Rehearsal(PLAN)
    for now_ms, records in seen:
        again.now_ms = now_ms
        again.step(*records)
        again.step(*records)  # and redelivery changes nothing
    assert again.written == router.written
