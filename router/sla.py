"""SLA clocks: first response, next response, resolution.

They follow from the conversation: after every turn `follow` starts, stops and moves them, and sets one timer for the
next thing that can happen. They count in the open time of the queue's calendar, and stand still while no queue has the
conversation; that of the resolution also while it waits on the contact.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from omnibus import clock
from omnibus.model.entities import Conversation, SlaState, SlaTarget
from omnibus.model.events import SlaChanged
from router.queues import FIRST_RESPONSE, METRICS, NEXT_RESPONSE, RESOLUTION, QueuePlan
from router.state import Clock
from router.turn import Turn

SLA = "sla"
"""The kind of the timer."""
PAUSING = ("waiting_on_contact", "snoozed", "on_hold")
SETTLED = ("resolved", "closed")
WARNING = "warning"
BREACH = "breach"


class Alarm(msgspec.Struct, frozen=True):
    """A warning or a breach of a clock."""

    kind: str
    metric: str


def follow(turn: Turn) -> None:
    """Bring the clocks in line with the conversation as it is at the end of a turn."""
    queue = turn.conversation.queue
    if not turn.state.clocks and not turn.plan.queue(queue).sla.targets_ms:
        return
    if turn.cause.origin == "backfill":
        return
    if queue is not None and queue != turn.state.sla_queue:
        _move(turn, queue)
    for metric in METRICS:
        _follow_one(turn, metric)
    show(turn)


def _move(turn: Turn, queue: str) -> None:
    """Another queue's targets and hours count from here on; what has run so far stays."""
    at, plan = turn.cause.time_ms, turn.plan.queue(queue)
    kept = []
    for one in turn.state.clocks:
        target = plan.sla.targets_ms.get(one.metric)
        if one.breached or one.ended_ms is not None:
            kept.append(one)
        elif target is not None:
            _stop(turn, one, at)
            one.target_ms = target
            if one.used_ms < target * plan.sla.warn_at:
                one.warned_ms = None
            kept.append(one)
    turn.state.clocks = kept
    turn.state.sla_queue = queue


def _follow_one(turn: Turn, metric: str) -> None:
    conversation, at = turn.conversation, turn.cause.time_ms
    one = next((one for one in turn.state.clocks if one.metric == metric), None)
    if _is_over(conversation, metric):
        if one is not None and one.ended_ms is None:
            _end(turn, one, at, _was_reached(turn, metric))
    elif _should_run(conversation, metric):
        one = _wound(turn, metric, one)
        if one is not None and one.since_ms is None and not one.breached:
            _start(turn, one, at)
    elif one is not None and one.ended_ms is None:
        _stop(turn, one, at)


def _is_over(conversation: Conversation, metric: str) -> bool:
    """Whether the clock has nothing to wait for."""
    if conversation.status in SETTLED:
        return True
    if metric == FIRST_RESPONSE:
        return conversation.first_response_at is not None
    return metric == NEXT_RESPONSE and conversation.waiting_since is None


def _was_reached(turn: Turn, metric: str) -> bool:
    """Whether it is over because what it waited for has happened."""
    if metric == RESOLUTION:
        return turn.conversation.status == "resolved"
    return turn.conversation.last_outbound_at != turn.before.last_outbound_at


def _should_run(conversation: Conversation, metric: str) -> bool:
    if conversation.queue is None:
        return False
    if metric == RESOLUTION:
        return conversation.status not in PAUSING
    answered_before = conversation.first_response_at is not None
    return conversation.waiting_since is not None and answered_before is (metric == NEXT_RESPONSE)


def _wound(turn: Turn, metric: str, one: Clock | None) -> Clock | None:
    """The clock, made when there is none yet, or set back when it begins again."""
    target = turn.plan.queue(turn.conversation.queue).sla.targets_ms.get(metric)
    if one is not None and one.ended_ms is not None:
        if metric != NEXT_RESPONSE:  # reopened: the time it took before counts
            one.ended_ms, one.met = None, False
            return one
        turn.state.clocks.remove(one)
        one = None
    if one is None and target is not None:
        one = Clock(metric=metric, target_ms=target, due_ms=0)
        turn.state.clocks.append(one)
    return one


def _start(turn: Turn, one: Clock, at: int) -> None:
    plan = turn.plan.queue(turn.state.sla_queue)
    left = max(0, one.target_ms - one.used_ms)
    one.since_ms = at
    one.due_ms = plan.calendar.add(at, left)
    one.warn_ms = None if one.warned_ms is not None else _warn_at(plan, one, at)


def _warn_at(plan: QueuePlan, one: Clock, at: int) -> int:
    return plan.calendar.add(at, max(0, int(one.target_ms * plan.sla.warn_at) - one.used_ms))


def _stop(turn: Turn, one: Clock, at: int) -> None:
    if one.since_ms is not None:
        one.used_ms += turn.plan.queue(turn.state.sla_queue).calendar.open_between(one.since_ms, at)
        one.since_ms = one.warn_ms = None


def _end(turn: Turn, one: Clock, at: int, reached: bool) -> None:
    """What it waited for has happened, or cannot happen any more.

    The time of the answer decides, not that of its processing: after an outage a breach may have been told that the
    answer, read later, shows to be none. It is then told as met, and the later fact counts.
    """
    in_time = at <= one.due_ms if one.since_ms is not None or one.breached else True
    _stop(turn, one, at)
    one.ended_ms = at
    if not reached:
        return
    if in_time:
        one.met, one.breached = True, False
        _tell(turn, "met", one)
    elif not one.breached:
        one.breached = True
        _tell(turn, "breached", one)


def ring(turn: Turn) -> list[Alarm]:
    """The timer is due: tell what it was for. Times are those at which it was due, however late this runs."""
    turn.state.sla_due_ms = None
    at, alarms = turn.cause.time_ms, []
    for one in turn.state.clocks:
        if one.since_ms is None:
            continue
        if one.warn_ms is not None and one.warn_ms <= at:
            one.warned_ms, one.warn_ms = one.warn_ms, None
            _tell(turn, WARNING, one)
            alarms.append(Alarm(WARNING, one.metric))
        if one.due_ms <= at:
            one.breached = True
            one.since_ms = one.warn_ms = None
            one.used_ms = one.target_ms
            _tell(turn, "breached", one)
            alarms.append(Alarm(BREACH, one.metric))
    return alarms


def _tell(turn: Turn, verb: str, one: Clock) -> None:
    changed = SlaChanged(
        conversation_id=turn.conversation.id,
        policy=turn.state.sla_queue or "",
        target=_target_of(one),
        queue=turn.conversation.queue,
    )
    turn.publish(f"sla.{verb}", changed)


def _target_of(one: Clock) -> SlaTarget:
    return SlaTarget(
        metric=one.metric,
        due_at=clock.from_ms(one.due_ms),
        state=_state_of(one),
        warned_at=None if one.warned_ms is None else clock.from_ms(one.warned_ms),
    )


def _state_of(one: Clock) -> str:
    if one.breached:
        return "breached"
    if one.met:
        return "met"
    return "running" if one.since_ms is not None else "paused"


def show(turn: Turn) -> None:
    """Show the clocks on the conversation and set the timer: all there is to do when nothing but they changed.

    A clock that never ran shows nothing.
    """
    targets = tuple(_target_of(one) for one in turn.state.clocks if one.due_ms)
    policy = turn.state.sla_queue or ""
    calendar = turn.plan.queue(policy).calendar.name
    shown = SlaState(policy=policy, calendar=calendar, targets=targets) if targets else None
    if shown != turn.conversation.sla:
        turn.change(sla=shown)
    _arm(turn)


def _arm(turn: Turn) -> None:
    due = min(_dues(turn), default=None)
    if due == turn.state.sla_due_ms:
        return
    turn.state.sla_due_ms = due
    if due is None:
        turn.ctx.timer_cancel(SLA, turn.key)
    else:
        turn.ctx.timer_set(SLA, turn.key, due)


def _dues(turn: Turn) -> Iterator[int]:
    for one in turn.state.clocks:
        if one.since_ms is not None:
            yield one.due_ms if one.warn_ms is None else min(one.due_ms, one.warn_ms)
