"""The clocks of first response, next response and resolution."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from omnibus.config.model import Escalation
from omnibus.model.entities import SlaTarget
from omnibus.model.events import Reopen, Resolve, Transfer
from router.hours import CalendarSettings, calendars_of
from router.plan import Plan
from router.queues import QueuePlan, SlaPlan
from router.rehearsal import START_MS, Rehearsal, a_reply
from router.rules.rule import Rule

MINUTE = 60_000
OFFICE = calendars_of({"office": CalendarSettings(zone="UTC", hours={"mon-fri": "09:00-17:00"})})["office"]


def a_sla(**minutes: float) -> SlaPlan:
    return SlaPlan(targets_ms={metric: int(value * MINUTE) for metric, value in minutes.items()})


@pytest.fixture
def make(plan: Callable[..., Plan]) -> Callable[..., Rehearsal]:
    """A router whose queue `general` has these targets (in minutes)."""

    def router(*rules: Rule, queue: dict[str, Any] | None = None, **minutes: float) -> Rehearsal:
        sla = a_sla(**minutes)
        fields = {"sla": sla, **(queue or {})}
        return Rehearsal(plan(*rules, queue_plans={"general": QueuePlan(**fields)}))

    return router


def told(router: Rehearsal) -> list[tuple[str, str, float]]:
    """What was told of clocks: verb, metric, minutes since the start."""
    return [
        (event.type.split(".")[2], event.data.target.metric, (event.time - START_MS) / MINUTE)
        for event in router.on("omnibus.events")
        if event.type.startswith("omnibus.sla.")
    ]


def minutes(router: Rehearsal, count: float) -> None:
    router.later(timedelta(minutes=count))


def clock_of(router: Rehearsal, metric: str) -> SlaTarget:
    sla = router.conversation().sla
    assert sla is not None
    return next(target for target in sla.targets if target.metric == metric)


def test_an_answer_in_time_is_met(make: Callable[..., Rehearsal]) -> None:
    router = make(first_response=15)
    router.says("hi")
    assert clock_of(router, "first_response").state == "running"
    minutes(router, 5)

    router.commands(a_reply("hello"))
    minutes(router, 600)

    assert told(router) == [("met", "first_response", 5)]
    assert clock_of(router, "first_response").state == "met"


def test_without_an_answer_a_warning_comes_before_the_breach(make: Callable[..., Rehearsal]) -> None:
    router = make(first_response=20)
    router.says("hi")
    for _ in range(30):
        minutes(router, 1)

    assert told(router) == [("warning", "first_response", 15), ("breached", "first_response", 20)]
    router.commands(a_reply("sorry"))
    assert len(told(router)) == 2
    assert clock_of(router, "first_response").state == "breached"


def test_a_bots_answer_is_no_first_response_but_waiting_for_the_bot_is_not_counted(
    make: Callable[..., Rehearsal],
) -> None:
    router = make(Rule(name="bot", when="message.text == 'bot'", to="automation:faq"), first_response=15)
    router.says("bot")
    router.commands(a_reply("beep", bot="faq"))
    minutes(router, 60)
    router.says("a person please")
    router.commands(Transfer(to="queue:general"))
    assert clock_of(router, "first_response").due_at.timestamp() * 1000 == router.now_ms + 15 * MINUTE

    minutes(router, 10)
    router.commands(a_reply("hello"))

    assert told(router) == [("met", "first_response", 70)]


def test_each_further_answer_has_its_own_clock(make: Callable[..., Rehearsal]) -> None:
    router = make(first_response=15, next_response=10)
    router.says("hi")
    router.commands(a_reply("hello"))
    minutes(router, 100)
    router.says("one more thing")
    minutes(router, 4)
    router.says("and another")
    minutes(router, 4)
    router.commands(a_reply("yes"))
    minutes(router, 100)
    router.says("hm")
    minutes(router, 10)

    assert told(router) == [
        ("met", "first_response", 0),
        ("warning", "next_response", 107.5),
        ("met", "next_response", 108),
        ("warning", "next_response", 215.5),
        ("breached", "next_response", 218),
    ]


def test_the_resolution_stands_still_while_it_waits_on_the_contact(make: Callable[..., Rehearsal]) -> None:
    router = make(resolution=60)
    router.says("hi")
    minutes(router, 30)
    router.commands(a_reply("please send a photo"))
    assert clock_of(router, "resolution").state == "paused"
    minutes(router, 300)
    router.says("here it is")
    minutes(router, 29)
    assert [verb for verb, _, _ in told(router)] == ["warning"]

    router.commands(Resolve())

    assert told(router)[-1] == ("met", "resolution", 359)


def test_reopening_goes_on_with_the_time_that_was_used(make: Callable[..., Rehearsal]) -> None:
    router = make(resolution=60)
    router.says("hi")
    minutes(router, 40)
    router.commands(Resolve())
    minutes(router, 500)
    router.commands(Reopen())
    minutes(router, 20)

    assert [entry for entry in told(router) if entry[0] != "warning"] == [
        ("met", "resolution", 40),
        ("breached", "resolution", 560),
    ]


def test_clocks_stand_still_outside_the_hours(make: Callable[..., Rehearsal]) -> None:
    router = make(queue={"calendar": OFFICE, "sla": a_sla(first_response=120)})
    router.later(timedelta(hours=7))  # Monday, 16:00
    router.says("hi")

    assert clock_of(router, "first_response").due_at.isoformat() == "2026-01-06T10:00:00+00:00"
    sla = router.conversation().sla
    assert sla is not None
    assert (sla.policy, sla.calendar) == ("general", "office")
    router.later(timedelta(hours=17, minutes=59))
    assert [verb for verb, _, _ in told(router)] == ["warning"]
    minutes(router, 1)
    assert [verb for verb, _, _ in told(router)] == ["warning", "breached"]


def test_another_queue_has_its_own_targets_for_the_same_wait(plan: Callable[..., Plan]) -> None:
    queues = {
        "general": QueuePlan(sla=a_sla(first_response=60)),
        "billing": QueuePlan(sla=a_sla(first_response=30)),
    }
    router = Rehearsal(plan(queue_plans=queues))
    router.says("hi")
    minutes(router, 20)
    router.commands(Transfer(to="queue:billing"))

    assert clock_of(router, "first_response").due_at.timestamp() * 1000 == START_MS + 30 * MINUTE
    minutes(router, 10)
    assert told(router)[-1] == ("breached", "first_response", 30)


def test_a_queue_without_targets_stops_the_clocks(plan: Callable[..., Plan]) -> None:
    router = Rehearsal(plan(queue_plans={"general": QueuePlan(sla=a_sla(first_response=60))}))
    router.says("hi")
    router.commands(Transfer(to="queue:billing"))
    minutes(router, 600)

    assert told(router) == []
    assert router.conversation().sla is None


def test_after_an_outage_everything_is_told_once_with_the_time_it_was_due(make: Callable[..., Rehearsal]) -> None:
    router = make(first_response=20, resolution=30)
    for name in ("a", "b", "c"):
        router.says("hi", name)
        router.now_ms += MINUTE
    minutes(router, 24 * 60)

    entries = told(router)
    assert [at for _, _, at in entries] == sorted(at for _, _, at in entries)
    assert len(entries) == 3 * 4
    assert entries[:1] == [("warning", "first_response", 15)]
    assert len({event.id for event in router.on("omnibus.events")}) == len(router.on("omnibus.events"))


def test_an_answer_read_late_takes_a_breach_back(make: Callable[..., Rehearsal]) -> None:
    """During an outage the agent answered in time; the timer fires before the answer is read."""
    router = make(first_response=20)
    router.says("hi")
    minutes(router, 15)
    router.now_ms += 3 * MINUTE
    answer = router.command(a_reply("in time"))
    router.now_ms += 20 * MINUTE
    router.step(answer)

    assert told(router) == [
        ("warning", "first_response", 15),
        ("breached", "first_response", 20),
        ("met", "first_response", 18),
    ]
    assert clock_of(router, "first_response").state == "met"


def test_resolving_without_an_answer_meets_no_response(make: Callable[..., Rehearsal]) -> None:
    router = make(first_response=20, resolution=60)
    router.says("spam?")
    router.commands(Resolve())
    minutes(router, 600)

    assert told(router) == [("met", "resolution", 0)]


def test_what_is_imported_has_no_clock(make: Callable[..., Rehearsal]) -> None:
    router = make(first_response=20)
    router.says("long ago", origin="backfill")
    minutes(router, 60)

    assert told(router) == []


def test_a_machines_message_starts_no_clock(make: Callable[..., Rehearsal]) -> None:
    router = make(first_response=20)
    router.says("out of office", auto_submitted="auto_reply")
    minutes(router, 60)

    assert told(router) == []


def test_a_closed_conversation_has_no_timers_left(make: Callable[..., Rehearsal]) -> None:
    router = make(first_response=20, next_response=10, resolution=60, queue={"raise_priority_after_ms": MINUTE})
    router.says("hi")
    router.step(router.closed())
    router.later(timedelta(days=8))

    assert [key for key, _ in router.backing.scan(b"\x00", b"\x11", 100)] == []
    assert told(router) == []


def test_escalation_raises_tags_moves_and_notes(plan: Callable[..., Plan]) -> None:
    actions = (
        Escalation(on="warning", priority="high", tags=("late",)),
        Escalation(on="breach", metric="resolution", queue="general"),
        Escalation(on="breach", metric="first_response", queue="billing", notify="@lead please look", priority="low"),
    )
    sla = SlaPlan(targets_ms={"first_response": 20 * MINUTE}, escalate=actions)
    router = Rehearsal(plan(queue_plans={"general": QueuePlan(sla=sla)}))
    router.says("hi")
    minutes(router, 15)
    assert (router.conversation().priority, router.conversation().tags) == ("high", ("late",))
    assert router.kinds("omnibus.queue.general")[-2:] == ["sla.warning", "conversation.updated"]

    minutes(router, 5)

    conversation = router.conversation()
    assert (conversation.queue, conversation.priority) == ("billing", "high")
    [assigned, *_, note] = router.on("omnibus.queue.billing")
    assert assigned.data.summary == "Ana: hi"
    assert note.data.message.content.text == "@lead please look"
    assert note.data.message.visibility == "internal"
    assert clock_of(router, "first_response").state == "breached"
    minutes(router, 600)
    assert [verb for verb, _, _ in told(router)] == ["warning", "breached"]


def test_who_waits_for_long_rises_step_by_step(make: Callable[..., Rehearsal]) -> None:
    router = make(queue={"raise_priority_after_ms": 30 * MINUTE})
    router.says("hi")
    seen = []
    for _ in range(5):
        minutes(router, 30)
        seen.append(router.conversation().priority)
    assert seen == ["high", "urgent", "urgent", "urgent", "urgent"]


def test_who_was_answered_does_not_rise(make: Callable[..., Rehearsal]) -> None:
    router = make(queue={"raise_priority_after_ms": 30 * MINUTE})
    router.says("hi")
    minutes(router, 29)
    router.commands(a_reply("hello"))
    minutes(router, 90)
    assert router.conversation().priority == "normal"

    router.says("and now?")
    minutes(router, 29)
    assert router.conversation().priority == "normal"
    minutes(router, 1)
    assert router.conversation().priority == "high"
