"""Where conversations go: targets with time-outs, hours, capacity over all partitions, pauses, splits, sticky rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from omnibus.model.content import Text
from omnibus.model.events import Resolve, Transfer
from router.board import PUBLISH_MS, pause_record
from router.hours import CalendarSettings, calendars_of
from router.plan import Plan
from router.queues import QueuePlan
from router.rehearsal import Rehearsal, a_reply
from router.rules.rule import Rule, RuleTarget, StickyRule
from router.rules.ruleset import load_rules

QUEUES = ("general", "billing", "leads")
OFFICE = calendars_of({"office": CalendarSettings(zone="UTC", hours={"mon-fri": "09:00-17:00"})})
MINUTE = 60_000


@pytest.fixture
def make(plan: Callable[..., Plan]) -> Callable[..., Rehearsal]:
    """A router with three queues; keywords are their plans."""

    def router(*rules: Rule, **queues: QueuePlan) -> Rehearsal:
        compiled = load_rules(rules, default="queue:general", queues=QUEUES, automations=("faq",), calendars=OFFICE)
        return Rehearsal(plan(rules=compiled, queues=QUEUES, queue_plans=queues, calendars=OFFICE))

    return router


def to(queue: str, **fields: Any) -> Rule:
    return Rule(name=f"to {queue}", to=f"queue:{queue}", **fields)


def steps(*targets: RuleTarget, **fields: Any) -> Rule:
    return Rule(name="steps", targets=targets, **fields)


def why(router: Rehearsal) -> list[tuple[str, str]]:
    """What the last decision tried besides rules."""
    tried = router.decisions()[-1].tried
    return [(one.target, one.result) for one in tried if one.target.startswith("queue:")]


# --- targets in order ---------------------------------------------------------------------------


def test_the_first_target_that_takes_it_gets_it(make: Callable[..., Rehearsal]) -> None:
    router = make(
        steps(
            RuleTarget(queue="leads", unless="channel == 'webchat'"),
            RuleTarget(queue="billing", priority="high"),
            RuleTarget(queue="general"),
        )
    )
    router.says("hi")

    assert (router.conversation().queue, router.conversation().priority) == ("billing", "high")
    assert why(router) == [("queue:leads", "skipped")]


def test_a_target_that_does_not_answer_in_time_loses_it_to_the_next(make: Callable[..., Rehearsal]) -> None:
    router = make(
        steps(
            RuleTarget(queue="leads", timeout_ms=10 * MINUTE),
            RuleTarget(queue="billing", timeout_ms=10 * MINUTE, priority="urgent"),
            RuleTarget(queue="general"),
        )
    )
    router.says("hi")
    router.later(timedelta(minutes=9))
    assert router.conversation().queue == "leads"

    router.later(timedelta(minutes=1))

    assert (router.conversation().queue, router.conversation().priority) == ("billing", "urgent")
    assert why(router)[0] == ("queue:leads", "skipped")
    assert router.kinds("omnibus.queue.leads")[-1] == "conversation.unassigned"
    router.later(timedelta(minutes=10))
    assert router.conversation().queue == "general"
    router.later(timedelta(days=1) - timedelta(hours=1))
    assert router.conversation().queue == "general"


def test_a_target_that_has_answered_keeps_it(make: Callable[..., Rehearsal]) -> None:
    router = make(steps(RuleTarget(queue="leads", timeout_ms=10 * MINUTE), RuleTarget(queue="billing")))
    router.says("hi")
    router.commands(a_reply("hello"))
    router.later(timedelta(hours=1))

    assert router.conversation().queue == "leads"


def test_who_was_transferred_elsewhere_is_not_moved_by_the_old_time_out(make: Callable[..., Rehearsal]) -> None:
    router = make(steps(RuleTarget(queue="leads", timeout_ms=10 * MINUTE), RuleTarget(queue="billing")))
    router.says("hi")
    router.commands(Transfer(to="queue:general"))
    router.later(timedelta(hours=1))

    assert router.conversation().queue == "general"


def test_when_no_target_takes_it_the_default_queue_does(make: Callable[..., Rehearsal]) -> None:
    router = make(
        steps(RuleTarget(queue="leads"), RuleTarget(queue="billing", unless="true")), leads=QueuePlan(paused=True)
    )
    router.says("hi")

    assert router.conversation().queue == "general"
    assert router.decisions()[0].overflow_after == "leads"


def test_an_unless_that_cannot_be_evaluated_does_not_hold(make: Callable[..., Rehearsal]) -> None:
    router = make(steps(RuleTarget(queue="leads", unless="message.attributes['plan'] == 'x'")))
    router.says("hi")

    assert router.conversation().queue == "leads"


def test_an_automation_that_keeps_silent_loses_it_to_the_next_target(make: Callable[..., Rehearsal]) -> None:
    router = make(steps(RuleTarget(automation="faq"), RuleTarget(queue="leads")))
    router.says("hi")
    assert router.conversation().controller.id == "faq"

    router.later(timedelta(seconds=30))

    assert router.conversation().queue == "leads"
    assert why(router) == []
    assert router.decisions()[-1].tried[0].target == "automation:faq"
    assert "control.timed_out" in router.kinds("omnibus.automation.faq")


def test_a_target_may_give_an_automation_less_time_than_its_own(make: Callable[..., Rehearsal]) -> None:
    router = make(steps(RuleTarget(automation="faq", timeout_ms=5_000), RuleTarget(queue="leads")))
    router.says("hi")
    router.later(timedelta(seconds=5))

    assert router.conversation().queue == "leads"
    router.later(timedelta(minutes=1))
    assert router.conversation().queue == "leads"


def test_an_automation_that_has_answered_hands_over_to_its_own_queue(make: Callable[..., Rehearsal]) -> None:
    router = make(steps(RuleTarget(automation="faq", timeout_ms=5_000), RuleTarget(queue="leads")))
    router.says("hi")
    router.commands(a_reply("hello", bot="faq"))
    router.later(timedelta(minutes=1))
    assert router.conversation().controller.id == "faq"

    router.says("and now?")
    router.later(timedelta(seconds=30))

    assert router.conversation().queue == "billing"


def test_the_last_target_is_an_automation_and_keeps_silent(make: Callable[..., Rehearsal]) -> None:
    router = make(steps(RuleTarget(queue="leads", timeout_ms=MINUTE), RuleTarget(automation="faq")))
    router.says("hi")
    router.later(timedelta(minutes=1))
    assert router.conversation().controller.id == "faq"

    router.later(timedelta(seconds=30))

    assert router.conversation().queue == "general"


def test_automatic_mail_passes_by_an_automation_among_targets(make: Callable[..., Rehearsal]) -> None:
    router = make(steps(RuleTarget(automation="faq"), RuleTarget(queue="leads")))
    router.says("I am away", auto_submitted="auto_reply")

    assert router.conversation().queue == "leads"
    assert router.decisions()[0].tried[-1].result == "skipped"


# --- capacity and load --------------------------------------------------------------------------


def test_a_full_queue_overflows_and_takes_again_when_one_is_settled(make: Callable[..., Rehearsal]) -> None:
    router = make(to("billing"), billing=QueuePlan(capacity=2, overflow="leads"))
    for name in ("a", "b", "c"):
        router.says("hi", name)

    assert [router.conversation(name).queue for name in ("a", "b", "c")] == ["billing", "billing", "leads"]
    assert (router.decisions()[-1].overflow_after, why(router)) == ("billing", [("queue:billing", "full")])
    router.commands(Resolve(), "a")
    router.says("hi", "d")
    assert router.conversation("d").queue == "billing"


def test_when_everything_is_full_the_last_one_takes_it(make: Callable[..., Rehearsal]) -> None:
    full = {"billing": QueuePlan(capacity=1, overflow="leads"), "leads": QueuePlan(capacity=1)}
    router = make(to("billing"), **full)
    for name in ("a", "b", "c"):
        router.says("hi", name)

    assert router.conversation("c").queue == "leads"


def test_other_partitions_load_counts_once_they_have_told_it(make: Callable[..., Rehearsal]) -> None:
    plans = {"billing": QueuePlan(capacity=3, overflow="leads")}
    one, other = make(to("billing"), **plans), make(to("billing"), **plans)
    other.partition, other.table = 1, one.table
    for name in ("a", "b"):
        one.says("hi", name)
    one.later(timedelta(milliseconds=PUBLISH_MS))
    other.now_ms = one.now_ms

    for name in ("c", "d"):
        other.says("hi", name)

    assert [other.conversation(name).queue for name in ("c", "d")] == ["billing", "leads"]


def test_counts_are_told_now_and_then_and_not_with_every_message(make: Callable[..., Rehearsal]) -> None:
    router = make()
    for number in range(50):
        router.says("hi", f"c{number}")
        router.now_ms += 10

    told = [out for out in router.written if out.topic == "omnibus.routing"]
    assert 1 <= len(told) <= 500 // PUBLISH_MS
    router.later(timedelta(seconds=1))
    assert router.table.get(b"load/0") == b'{"general":50}'


def test_load_is_a_fact_for_rules(make: Callable[..., Rehearsal]) -> None:
    router = make(to("billing", when="queue.load['billing'] < 1"))
    router.says("hi", "a")
    router.says("hi", "b")

    assert [router.conversation(name).queue for name in ("a", "b")] == ["billing", "general"]
    assert router.decisions()[-1].inputs["queue.load"] == "general=0, billing=1, leads=0"


# --- pauses, skills, hours ----------------------------------------------------------------------


def pause(router: Rehearsal, queue: str, *, paused: bool) -> None:
    router.table.take([pause_record(router.plan.topics, queue, paused=paused)])
    router.later(timedelta(seconds=1))


def test_a_paused_queue_diverts_new_conversations_until_it_is_opened_again(make: Callable[..., Rehearsal]) -> None:
    router = make(to("billing"), billing=QueuePlan(overflow="leads"))
    router.says("hi", "a")
    pause(router, "billing", paused=True)
    router.says("hi", "b")
    router.says("still here", "a")
    pause(router, "billing", paused=False)
    router.says("hi", "c")

    assert [router.conversation(name).queue for name in ("a", "b", "c")] == ["billing", "leads", "billing"]


def test_without_overflow_a_paused_queue_diverts_to_the_default(make: Callable[..., Rehearsal]) -> None:
    router = make(to("billing"), billing=QueuePlan(paused=True))
    router.says("hi")

    assert router.conversation().queue == "general"


def test_automations_hand_over_to_what_stands_in_for_a_paused_queue(make: Callable[..., Rehearsal]) -> None:
    router = make(Rule(name="bot", to="automation:faq"), billing=QueuePlan(paused=True, overflow="leads"))
    router.says("hi")
    router.says("I want to talk to a person")

    assert router.conversation().queue == "leads"


def test_a_queue_without_the_skill_is_passed_by(make: Callable[..., Rehearsal]) -> None:
    router = make(
        to("billing", skills=("pt",)), billing=QueuePlan(skills=frozenset({"en"}), overflow="leads"), leads=QueuePlan()
    )
    router.says("oi")

    assert router.conversation().queue == "leads"


def test_outside_the_hours_they_go_where_the_queue_says(make: Callable[..., Rehearsal]) -> None:
    plans = {"billing": QueuePlan(calendar=OFFICE["office"], out_of_hours="automation:faq")}
    router = make(to("billing"), **plans)
    router.says("hi", "day")
    router.later(timedelta(hours=12))
    router.says("hi", "night")
    router.says("hi", "machine", auto_submitted="auto_reply")

    assert router.conversation("day").queue == "billing"
    assert router.conversation("night").controller.id == "faq"
    assert router.conversation("machine").queue == "billing"
    assert why(router) == []


def test_who_comes_back_from_the_night_automation_stays_in_the_queue(make: Callable[..., Rehearsal]) -> None:
    plans = {"billing": QueuePlan(calendar=OFFICE["office"], out_of_hours="automation:faq")}
    router = make(to("billing"), **plans)
    router.later(timedelta(hours=12))
    router.says("hi")
    router.commands(Transfer(to="queue:billing", author=a_reply("", bot="faq").author))

    assert router.conversation().queue == "billing"


def test_opening_hours_are_facts_for_rules(make: Callable[..., Rehearsal]) -> None:
    router = make(to("leads", when="calendar.open['office'] && queue.open['leads']"))
    router.says("hi", "day")
    router.later(timedelta(hours=12))
    router.says("hi", "night")

    assert [router.conversation(name).queue for name in ("day", "night")] == ["leads", "general"]


# --- split and sticky ---------------------------------------------------------------------------


def test_a_split_follows_its_weights_and_is_the_same_every_time(make: Callable[..., Rehearsal]) -> None:
    split = Rule(name="trial", split={"queue:billing": 70, "queue:leads": 30, "queue:general": 0})
    router, again = make(split), make(split)
    for number in range(300):
        router.says("hi", f"c{number}")
    for number in reversed(range(300)):
        again.says("hi", f"c{number}")

    drawn = {f"c{number}": router.conversation(f"c{number}").queue for number in range(300)}
    counts = Counter(drawn.values())
    assert set(counts) == {"billing", "leads"}
    assert 180 <= counts["billing"] <= 240
    assert drawn == {name: again.conversation(name).queue for name in drawn}


def test_a_split_gives_machines_no_automation(make: Callable[..., Rehearsal]) -> None:
    router = make(Rule(name="trial", split={"automation:faq": 99, "queue:leads": 1}))
    for number in range(20):
        router.says("hi", f"c{number}", auto_submitted="auto_reply")

    assert {router.conversation(f"c{number}").queue for number in range(20)} == {"leads"}


BACK = Rule(name="back", sticky=StickyRule(within_ms=7 * 86_400_000, agent=True))
AGAIN = {"contact_id": "cnt_1"}


def second(router: Rehearsal, after: timedelta = timedelta(hours=1)) -> str | None:
    """The same contact begins another conversation."""
    router.later(after)
    router.step(router.opened("second", **AGAIN), router.received("second", Text(text="me again")))
    return router.conversation("second").queue


def first(router: Rehearsal) -> None:
    router.step(router.opened("first", **AGAIN), router.received("first", Text(text="bill")))
    router.commands(a_reply("hello"), "first")
    router.commands(Resolve(), "first")


def test_a_contact_comes_back_to_the_last_queue_and_agent(make: Callable[..., Rehearsal]) -> None:
    router = make(BACK, to("billing", when="message.text == 'bill'"))
    first(router)

    assert second(router) == "billing"
    assert router.conversation("second").assignee == "agent-7"
    assert router.decisions()[-1].inputs["contact.last_queue"] == "billing"


@pytest.mark.parametrize(
    ("after", "billing"),
    [
        (timedelta(days=8), QueuePlan()),
        (timedelta(hours=1), QueuePlan(paused=True)),
        (timedelta(hours=12), QueuePlan(calendar=OFFICE["office"])),
    ],
)
def test_a_contact_does_not_come_back_to_what_is_not_open(
    make: Callable[..., Rehearsal], after: timedelta, billing: QueuePlan
) -> None:
    rules = (BACK, to("leads", when="message.text == 'me again'"), to("billing"))
    router = make(*rules)
    first(router)
    router.plan = make(*rules, billing=billing).plan

    assert second(router, after) == "leads"
    assert router.decisions()[-1].tried[0].result == "skipped"


# --- shadow -------------------------------------------------------------------------------------


def test_a_candidate_decides_beside_the_live_rules_and_nothing_comes_of_it(make: Callable[..., Rehearsal]) -> None:
    router = make(to("billing"))
    candidate = make(to("leads", priority="urgent"), leads=QueuePlan(capacity=1)).plan
    router.plan = msgspec.structs.replace(router.plan, shadow=candidate)
    router.says("hi")

    [shadow] = router.on("omnibus.shadow")
    decision = shadow.data.decision
    assert (decision.target, decision.mode, decision.priority) == ("leads", "shadow", "urgent")
    assert decision.ruleset_version == candidate.rules.version != router.plan.rules.version
    assert (router.conversation().queue, router.conversation().priority) == ("billing", "normal")
    assert shadow.id not in {event.id for event in router.on("omnibus.events")}


def test_where_a_contact_was_is_forgotten_in_the_end(make: Callable[..., Rehearsal]) -> None:
    router = make(BACK, to("billing"))
    router.says("hi")
    router.commands(Resolve())
    router.later(timedelta(days=89))
    assert len(router.table.scan(b"contact/")) == 1

    router.later(timedelta(days=2))

    assert router.table.scan(b"contact/") == []
