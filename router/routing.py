"""Routing: what the rules say, where that leads, and the decision that tells why."""

from __future__ import annotations

import msgspec

from omnibus.model.base import Attributes
from omnibus.model.entities import ChannelIdentity, Controller, Message, RoutingDecision, Tried
from omnibus.model.events import RoutingDecided
from omnibus.telemetry.metrics import current
from router import control
from router.control import MAX_TAGS, no_automation
from router.placement import Place
from router.plan import Plan
from router.rules.facts import Facts
from router.rules.ruleset import Verdict
from router.state import Step, recent_messages
from router.surroundings import around_of, facts_of, placing_of
from router.turn import Turn

MAX_ATTRIBUTES = 50
ROUTING_DECIDED = "omnibus.routing.decided.v1"


def route(turn: Turn, message: Message | None, sender: ChannelIdentity | None = None) -> None:
    """Let the rules decide, publish the decision, and give the conversation to its target."""
    barred = barred_from_automations(turn, message)
    facts = facts_of(turn, message, sender)
    verdict = turn.plan.rules.decide(facts, barred)
    place = _place(turn, turn.plan, verdict, facts, barred)
    if turn.plan.shadow is not None:
        _shadow(turn, turn.plan.shadow, facts, barred)
    _apply(turn, verdict, place)
    _count(verdict, place)
    _go(turn, verdict, place, message)


def barred_from_automations(turn: Turn, message: Message | None) -> str | None:
    """Why no automation may get the conversation now; None when one may."""
    tripped = turn.state.pace is not None and turn.state.pace.tripped
    return no_automation(turn.cause.origin, turn.state.human, message, tripped=tripped)


def _place(turn: Turn, plan: Plan, verdict: Verdict, facts: Facts, barred: str | None) -> Place:
    placing = placing_of(turn, facts.around, barred, frozenset(verdict.skills))
    return placing.of_verdict(verdict, lambda guard: plan.rules.holds(guard, facts))


def _go(turn: Turn, verdict: Verdict, place: Place, message: Message | None) -> None:
    kind, _, name = place.to.partition(":")
    decision = decision_of(turn, turn.plan, verdict, place)
    turn.publish("routing.decided", RoutingDecided(decision=decision), to_owner=False)
    if kind not in ("queue", "automation"):
        return
    control.give(
        turn,
        Controller(type=kind, id=name),
        decision=_brief(decision, verdict, place),
        newest=message,
        agent=verdict.agent,
    )
    _wait_in_target(turn, verdict.rule, place)


def _brief(decision: RoutingDecision, verdict: Verdict, place: Place) -> RoutingDecision:
    """The decision for its owner: a thousand rules that did not match would outweigh the message."""
    return msgspec.structs.replace(decision, tried=(*verdict.told, *place.tried))


def decision_of(turn: Turn, plan: Plan, verdict: Verdict, place: Place, mode: str = "live") -> RoutingDecision:
    """The decision as it is published."""
    kind, _, name = place.to.partition(":")
    has_sla = kind == "queue" and bool(plan.queue(name).sla.targets_ms)
    return RoutingDecision(
        id=turn.derived("dec", *(() if mode == "live" else (mode,))),
        conversation_id=turn.conversation.id,
        ruleset_version=plan.rules.version,
        rule=verdict.rule,
        outcome=kind,
        target=name or None,
        priority=turn.conversation.priority if mode == "live" else _priority(turn, plan, verdict, place),
        sla_policy=name if has_sla else None,
        skills=verdict.skills,
        tried=(*verdict.tried, *place.tried),
        inputs=verdict.inputs,
        mode=mode,
        overflow_after=place.overflow_after,
    )


def _wait_in_target(turn: Turn, rule: str | None, place: Place) -> None:
    """A target with a time-out: the next one is tried when nobody has answered by then. Automations have their own."""
    if rule is None or place.index is None:
        return
    if place.timeout_ms is not None or control.under_automation(turn):
        turn.state.step = Step(rule, place.index)
    if place.timeout_ms is not None:
        turn.ctx.timer_set(control.TARGET, turn.key, turn.cause.time_ms + place.timeout_ms)


def on_target_timeout(turn: Turn) -> None:
    """Nobody has answered in this target in time: the next one."""
    if control.under_automation(turn):
        control.tell_timed_out(turn)
        if not try_next_target(turn):
            control.hand_over(turn, f"{turn.conversation.controller.id} gave no answer in time")
    else:
        try_next_target(turn)


def on_silence(turn: Turn) -> None:
    """The automation owes an answer and gave none: the rule's next target, or else the automation's queue."""
    if control.under_automation(turn):
        on_target_timeout(turn)


def try_next_target(turn: Turn) -> bool:
    """Give the conversation to the next of its rule's targets; False when it has none, or it ends where it is."""
    step, conversation = turn.state.step, turn.conversation
    control.stop_target_clock(turn)
    rule = None if step is None else turn.plan.rules.by_name.get(step.rule)
    if step is None or rule is None or control.unassigned(turn) or conversation.status in ("resolved", "closed"):
        return False
    message = _last_inbound(turn)
    facts = facts_of(turn, message, None, around_of(turn))
    barred = barred_from_automations(turn, message)
    placing = placing_of(turn, facts.around, barred, frozenset(rule.skills))
    place = placing.of_targets(rule.targets, lambda guard: turn.plan.rules.holds(guard, facts), step.index)
    at = f"{conversation.controller.type}:{conversation.controller.id}"
    waited = Tried(target=at, result="skipped", why="nobody answered in time")
    place = msgspec.structs.replace(place, tried=(waited, *place.tried))
    if place.to == at:
        return False
    verdict = Verdict(to=place.to, rule=rule.name, tried=(), inputs={}, skills=rule.skills)
    turn.change(priority=place.priority or conversation.priority)
    current().count("decisions", *_kind_and_name(place.to))
    _go(turn, verdict, place, message)
    return True


def _last_inbound(turn: Turn) -> Message | None:
    recent = reversed(recent_messages(turn.state))
    return next((message for message in recent if message.direction == "inbound"), None)


def _shadow(turn: Turn, plan: Plan, facts: Facts, barred: str | None) -> None:
    """What the candidate would do, for comparison; nothing comes of it."""
    verdict = plan.rules.decide(facts, barred)
    place = _place(turn, plan, verdict, facts, barred)
    decision = decision_of(turn, plan, verdict, place, mode="shadow")
    turn.send(ROUTING_DECIDED, RoutingDecided(decision=decision), turn.plan.topics.shadow)


def _count(verdict: Verdict, place: Place) -> None:
    current().count("decisions", *_kind_and_name(place.to))
    for rule in verdict.errors:
        current().count("rule_errors", rule)


def _kind_and_name(target: str) -> tuple[str, str]:
    kind, _, name = target.partition(":")
    return kind, name


def _apply(turn: Turn, verdict: Verdict, place: Place) -> None:
    conversation = turn.conversation
    turn.change(
        priority=_priority(turn, turn.plan, verdict, place),
        language=verdict.language or conversation.language,
        tags=tuple(dict.fromkeys((*conversation.tags, *verdict.tags)))[:MAX_TAGS],
        attributes=_merged(conversation.attributes, verdict.attributes),
    )


def _priority(turn: Turn, plan: Plan, verdict: Verdict, place: Place) -> str:
    """The target's, the rules', the conversation's own, or else that of the queue."""
    given = place.priority or verdict.priority
    own = turn.conversation.priority
    kind, name = _kind_and_name(place.to)
    of_queue = plan.queue(name).priority if kind == "queue" else None
    return given or (own if own != "normal" else of_queue or own)


def _merged(before: Attributes, more: Attributes) -> Attributes:
    merged = {**before, **more}
    return merged if len(merged) <= MAX_ATTRIBUTES else before
