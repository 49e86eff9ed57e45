"""What is wrong with queues, calendars and routes is told when they are loaded, with its line."""

from __future__ import annotations

import pytest

from omnibus.bus.topics import Topics
from omnibus.cli.plugins import known_types, settings_of
from omnibus.config.errors import ConfigErrors
from omnibus.config.load import loads
from omnibus.config.model import Config
from router.plan import SECTIONS, plan_of
from router.rules.check import check


def configured(text: str) -> Config:
    return loads(text, settings_of=settings_of, known_types=known_types, sections=SECTIONS)


def wrong(text: str) -> str:
    with pytest.raises(ConfigErrors) as raised:
        check(configured(text))
    return str(raised.value)


BASE = "calendars: {office: {zone: UTC, hours: {mon-fri: '09:00-17:00'}}}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "queues: {a: {overflow: b}, b: {overflow: c}, c: {overflow: a}}",
            "1:24: queues.a.overflow: goes round in a circle: a -> b -> c -> a",
        ),
        (
            BASE
            + "queues:\n"
            + "  a: {calendar: office, out_of_hours: 'queue:b'}\n"
            + "  b: {calendar: office, out_of_hours: 'queue:a'}\n",
            "3:39: queues.a.out_of_hours: goes round in a circle: a -> b -> a",
        ),
        (
            "queues: {a: {calendar: offce}}\n" + BASE,
            "1:24: queues.a.calendar: unknown calendar 'offce' (known: office)",
        ),
        ("queues: {a: {out_of_hours: 'queue:b'}, b: {}}", "queues.a.out_of_hours: without a calendar"),
        (BASE + "queues: {a: {calendar: office, out_of_hours: 'automation:b'}}", "unknown automation 'b'"),
        (BASE + "queues: {a: {calendar: office, out_of_hours: drop}}", "expected a target, got 'drop'"),
        ("queues: {a: {sla: {first_response: -5m}}}", "1:36: queues.a.sla.first_response: expected a duration"),
        ("queues: {a: {sla: {resolution: 0s}}}", "queues.a.sla.resolution: must be longer than nothing"),
        ("queues: {a: {sla: {warn_at: 1.5}}}", "queues.a.sla.warn_at: expected"),
        (
            "queues: {a: {sla: {escalate: [{on: breach, queue: b}]}}}",
            "queues.a.sla.escalate.0.queue: unknown queue 'b'",
        ),
        ("queues: {a: {sla: {escalate: [{on: sometimes}]}}}", "queues.a.sla.escalate.0.on: expected"),
        ("queues: {a: {survey: nps}}", "queues.a.survey: no automation 'nps' of type survey"),
        ("queues: {a: {raise_priority_after: 0s}}", "must be longer than nothing"),
        (
            "queues: {a: {}}\ncalendars: {c: {zone: UTC, hours: {}}}",
            "2:35: calendars.c.hours: a calendar needs at least one day",
        ),
        ("queues: {a: {}}\ncalendars: {c: {zone: Mars/Olympus, hours: {mon: '09:00-17:00'}}}", "expected a time zone"),
        (
            "queues: {a: {}}\nroutes: [{name: r, targets: [{queue: b}]}]",
            "2:38: routes.0.targets.0.queue: rule 'r': unknown queue 'b'",
        ),
        (
            "queues: {a: {}}\nroutes: [{name: r, targets: [{automation: b}]}]",
            "2:43: routes.0.targets.0.automation: rule 'r': unknown automation 'b'",
        ),
        ("queues: {a: {}}\nroutes: [{name: r, targets: [{timeout: 5m}]}]", "expected a queue or an automation"),
        (
            "queues: {a: {}}\nroutes: [{name: r, targets: [{queue: a, unless: 'chanel == 1'}]}]",
            "2:49: routes.0.targets.0.unless: rule 'r': unknown name 'chanel' (line 1, column 1 of it) (did you mean",
        ),
        (
            "queues: {a: {}}\nroutes: [{name: r, to: 'queue:a', split: {'queue:a': 1}}]",
            "a rule leads one way: to or split, not both",
        ),
        ("queues: {a: {}}\nroutes: [{name: r, split: {'queue:b': 1}}]", "unknown queue 'b'"),
        ("queues: {a: {}}\nroutes: [{name: r, split: {'queue:a': 0}}]", "all weights are zero"),
        (
            BASE + "queues: {a: {}}\nroutes: [{name: r, when: \"calendar.open['offices']\", to: drop}]",
            "unknown calendar 'offices' (line 1, column 15 of it) (did you mean office?",
        ),
        ("queues: {bill: {}}\nroutes: [{name: r, when: \"queue.load['bil'] > 1\", to: drop}]", "unknown queue 'bil'"),
        ("queues: {a: {}}\nautomations: {x: {type: acknowledge, calendar: night}}", "unknown calendar 'night'"),
        (
            "queues: {a: {}}\nautomations: {x: {type: survey, questions: {pt: 'Gostou?'}}}",
            "automations.x.questions: has no text in 'en'",
        ),
    ],
)
def test_it_is_told_with_its_place(text: str, told: str) -> None:
    assert told in wrong(text)


def test_everything_is_told_together() -> None:
    told = wrong(
        "queues: {a: {calendar: x, overflow: b}, b: {overflow: a}}\n"
        "routes: [{name: r, when: 'chanel', to: drop}, {name: s, targets: [{queue: c}]}]\n"
    )

    for part in ("unknown calendar", "circle", "chanel", "unknown queue 'c'"):
        assert part in told


def test_a_whole_configuration_becomes_a_plan() -> None:
    plan = plan_of(
        configured(
            BASE
            + """
queues:
  default: {}
  billing:
    {calendar: office, capacity: 5, overflow: default, paused: true, skills: [pt], priority: high,
     raise_priority_after: 10m, out_of_hours: automation:ack, survey: ask,
     sla: {first_response: 15m, resolution: 8h, warn_at: 0.5}}
automations: {ack: {type: acknowledge}, ask: {type: survey, kind: nps}}
routes:
  - {name: a, sticky: {within: 7d, to: agent}}
  - {name: b, targets: [{queue: billing, timeout: 10m, priority: urgent}, {queue: default}], language: pt}
  - {name: c, split: {'queue:billing': 1, hold: 2}, attributes: {tier: gold}}
breaker: {messages: 5}
contacts: {last_place_for: 30d}
"""
        ),
        Topics(),
        {},
    )
    billing = plan.queue("billing")
    assert (billing.capacity, billing.overflow, billing.paused, billing.survey) == (5, "default", True, "ask")
    assert dict(billing.sla.targets_ms) == {"first_response": 900_000, "resolution": 28_800_000}
    assert billing.calendar.name == "office"
    assert plan.rules.rules[1].targets[0].timeout_ms == 600_000
    assert plan.rules.asks_where_last
    assert plan.breaker.messages == 5
    assert plan.place_kept_ms == 30 * 86_400_000
    assert plan.has_surveys


def test_the_version_changes_with_what_decisions_depend_on() -> None:
    texts = (
        "queues: {a: {}, b: {}}",
        "queues: {a: {capacity: 5, overflow: b}, b: {}}",
        BASE + "queues: {a: {}, b: {}}",
    )
    versions = {plan_of(configured(text), Topics(), {}).rules.version for text in texts}

    assert len(versions) == 3
