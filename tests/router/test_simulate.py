"""A candidate rule set over recorded traffic: what would move, and nothing is published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from omnibus.bus.port import Record
from omnibus.model.content import Text
from omnibus.model.events import Resolve
from router.plan import Plan
from router.queues import QueuePlan, SlaPlan
from router.rehearsal import Rehearsal, a_reply
from router.rules.rule import Rule
from router.simulate import Comparison, in_order, simulate

MINUTE = 60_000
BILLS = Rule(name="bills", when="message.text.contains('bill')", to="queue:billing")


@pytest.fixture
def recording(plan: Callable[..., Plan]) -> list[Record]:
    """Ten conversations, one every five minutes; every second one is answered after ten minutes."""
    traffic = Rehearsal(plan())
    records: list[Record] = []
    for number in range(10):
        text = "my bill" if number % 2 else "hello"
        records += [traffic.opened(f"c{number}"), traffic.received(f"c{number}", Text(text=text))]
        if number % 2:
            traffic.now_ms += 10 * MINUTE
            records.append(traffic.command(a_reply("here"), f"c{number}"))
            records.append(traffic.command(Resolve(), f"c{number}"))
        traffic.now_ms += 5 * MINUTE
    return records


def test_the_same_rules_move_nothing(plan: Callable[..., Plan], recording: list[Record]) -> None:
    found = simulate(plan(BILLS), plan(BILLS), recording)

    assert (found.conversations, found.moved, found.sample) == (10, 0, ())
    assert found.volume == {"queue:billing": (5, 5), "queue:general": (5, 5)}
    assert found.versions[0] == found.versions[1]


def test_what_would_move_is_counted_and_shown(plan: Callable[..., Plan], recording: list[Record]) -> None:
    found: Comparison = simulate(plan(), plan(BILLS), recording)

    assert found.moved == 5
    assert found.volume == {"queue:billing": (0, 5), "queue:general": (10, 5)}
    first = found.sample[0]
    assert (first.was, first.becomes, first.was_rule, first.becomes_rule) == (
        "queue:general",
        "queue:billing",
        None,
        "bills",
    )


def test_service_levels_overflow_and_priorities_of_the_candidate(
    plan: Callable[..., Plan], recording: list[Record]
) -> None:
    queues = {
        "general": QueuePlan(sla=SlaPlan(targets_ms={"first_response": 8 * MINUTE}), capacity=2, overflow="billing"),
        "billing": QueuePlan(priority="high"),
    }
    found = simulate(plan(), plan(queue_plans=queues), recording)

    assert found.overflow["general"][0] == 0
    assert found.overflow["general"][1] > 0
    assert found.sla["general first_response breached"] == (0, 3)
    assert "high" in found.priorities


def test_a_rule_that_fails_on_messages_is_counted(plan: Callable[..., Plan], recording: list[Record]) -> None:
    broken = Rule(name="broken", when="message.attributes['plan'] == 'x'", to="drop")
    found = simulate(plan(), plan(broken), recording)

    assert found.rule_errors == (0, 10)
    assert found.moved == 0


def test_what_the_router_wrote_itself_is_no_input(plan: Callable[..., Plan], recording: list[Record]) -> None:
    live = Rehearsal(plan(BILLS))
    for record in recording:
        live.now_ms = max(live.now_ms, record.ts_ms)
        live.step(record)
    live.later(timedelta(hours=1))
    log = [Record(o.topic, 0, n, o.ts_ms or 0, o.key, o.value, o.headers) for n, o in enumerate(live.written)]
    own = [record for record in log if record.topic == live.plan.topics.events]

    found = simulate(plan(BILLS), plan(BILLS), [*recording, *own])

    assert found.records == len(recording)
    assert found.moved == 0


def test_records_of_a_partition_stay_in_their_order() -> None:
    late, early = Record("a", 0, 0, 50, None, None), Record("a", 0, 1, 10, None, None)
    other = Record("b", 0, 0, 20, None, None)

    assert in_order([late, early, other]) == [other, late, early]


def test_nothing_recorded_is_nothing(plan: Callable[..., Plan]) -> None:
    assert simulate(plan(), plan(BILLS), []).conversations == 0
