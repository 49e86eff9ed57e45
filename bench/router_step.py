"""Measures the router's step in memory: microseconds of processor time for a message, by number of rules, as JSON.

python bench/router_step.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from omnibus.bus.port import Record
from omnibus.bus.topics import Topics
from omnibus.model.codec import decode
from omnibus.model.content import Text
from omnibus.testing.memory_state import MemoryBacking, run
from router.plan import AccountPlan, Plan
from router.rehearsal import ACCOUNT, START_MS, MemoryTable, Rehearsal, a_conversation, an_identity
from router.rules.facts import Facts
from router.rules.rule import Rule
from router.rules.ruleset import load_rules
from router.rules.words import shipped_words
from router.stage import RouterStage, spec

BATCH = 250
TEXT = "Hello, I ordered on Monday and my parcel has not arrived yet, could you tell me where it is? Thank you, Ana"


def rule(number: int) -> Rule:
    """Rules as installations write them: a channel, a pattern, a tag, an attribute; none of them matches."""
    kinds = (
        f"channel == 'channel-{number}' && message.text.contains('refund')",
        f"message.text.matches('(?i)product {number}|model-{number}')",
        f"conversation.tags.exists(t, t == 'campaign-{number}')",
        f"conversation.attributes.?plan.orValue('') == 'plan-{number}' && message.has_attachments",
    )
    return Rule(name=f"rule {number}", when=kinds[number % len(kinds)], to="queue:billing")


def plan_of(rules: int) -> Plan:
    queues = ("general", "billing")
    return Plan(
        topics=Topics(),
        rules=load_rules([rule(n) for n in range(rules)], default="queue:general", queues=queues, automations=()),
        queues=queues,
        default_queue="general",
        accounts={ACCOUNT: AccountPlan()},
    )


def batches(plan: Plan, count: int, *, first: bool) -> list[list[Record]]:
    """Steps of messages: of new conversations, or later ones of known conversations."""
    traffic = Rehearsal(plan)
    names = [f"{n}" for n in range(count)]
    if first:
        pairs = [(traffic.opened(name), traffic.received(name, Text(text=TEXT))) for name in names]
        return [[record for pair in pairs[at : at + BATCH] for record in pair] for at in range(0, count, BATCH)]
    later = [traffic.received(name, Text(text=TEXT), event_id=f"later-{name}") for name in names]
    return [later[at : at + BATCH] for at in range(0, count, BATCH)]


def microseconds(plan: Plan, count: int) -> dict[str, float]:
    """For a first message (opened, routed, assigned) and for a later one (forwarded), the median batch."""
    stage, specification, backing = RouterStage(lambda: plan), spec(plan.topics), MemoryBacking()
    tables = {plan.topics.routing: MemoryTable()}
    figures = {}
    for kind, first in (("first", True), ("later", False)):
        times = []
        for records in batches(plan, count, first=first):
            began = time.thread_time()
            result = run(stage, specification, *records, backing=backing, now_ms=START_MS, tables=tables)
            times.append((time.thread_time() - began) / BATCH * 1e6)
            assert not result.dead
        figures[kind] = round(statistics.median(times), 1)
    return figures


def deciding(plan: Plan, count: int) -> float:
    """The rules alone, without the step around them."""
    traffic = Rehearsal(plan)
    message = decode(traffic.received("c1", Text(text=TEXT))).data.message
    times = []
    for _ in range(count):
        began = time.thread_time()
        facts = Facts(
            conversation=a_conversation(),
            message=message,
            sender=an_identity(),
            now_ms=START_MS,
            words=shipped_words(),
        )
        plan.rules.decide(facts)
        times.append((time.thread_time() - began) * 1e6)
    return round(statistics.median(times), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    count = 1_000 if quick else 4_000
    figures = {}
    for rules in (0, 10, 100, 1_000):
        plan = plan_of(rules)
        figures[f"{rules}_rules"] = {**microseconds(plan, count), "deciding": deciding(plan, count // 4)}
    print(json.dumps({"router_step_us_per_message": figures}))


if __name__ == "__main__":
    main()
