"""A small installation for the router's tests: two queues, an automation, rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from omnibus.bus.topics import Topics
from router.plan import AccountPlan, AutomationPlan, Plan
from router.rehearsal import ACCOUNT, Rehearsal
from router.rules.rule import Rule
from router.rules.ruleset import load_rules

QUEUES = ("general", "billing")
AUTOMATIONS = ("faq",)


def make_plan(*rules: Rule, **fields: Any) -> Plan:
    return Plan(
        **{
            "topics": Topics(),
            "rules": load_rules(rules, default="queue:general", queues=QUEUES, automations=AUTOMATIONS),
            "queues": QUEUES,
            "default_queue": "general",
            "automations": {"faq": AutomationPlan(hand_over_to="billing", timeout_ms=30_000)},
            "accounts": {ACCOUNT: AccountPlan()},
            **fields,
        }
    )


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """Makes a plan of rules (and other fields of `Plan`)."""
    return make_plan


@pytest.fixture
def router() -> Rehearsal:
    """A router that sends bills to billing, and everything else to the general queue."""
    return Rehearsal(make_plan(Rule(name="bills", when="message.text.contains('bill')", to="queue:billing")))


@pytest.fixture
def bot_router() -> Rehearsal:
    """A router that gives everything to the automation `faq`, which hands over to billing."""
    return Rehearsal(make_plan(Rule(name="bot first", to="automation:faq")))
