"""A decision in rows that a person can read from top to bottom."""

from __future__ import annotations

import msgspec

from omnibus.model.entities import RoutingDecision


class Row(msgspec.Struct, frozen=True):
    """What was looked at, what came of it, and why."""

    step: str
    result: str
    why: str


def explain(decision: RoutingDecision) -> list[Row]:
    """The rules that were tried, in order, then where the conversation went, then the facts the rules looked at."""
    rows = [Row(f"rule {tried.target!r}", tried.result.replace("_", " "), tried.why or "") for tried in decision.tried]
    target = f"{decision.outcome} {decision.target}" if decision.target else decision.outcome
    by = f"rule {decision.rule!r}" if decision.rule is not None else "no rule applied: the default"
    rows.append(Row("decision", target, f"{by}; priority {decision.priority}; rules {decision.ruleset_version}"))
    return rows + [Row(f"fact {name}", str(value), "") for name, value in decision.inputs.items()]
