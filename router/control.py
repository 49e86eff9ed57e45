"""Who has a conversation: routing it, handing it over, releasing it, each with its ledger entry.

A conversation has exactly one controller, and is in one queue at most: `give` is the only place that changes either.
"""

from __future__ import annotations

from collections.abc import Sequence

from omnibus.model.codec import encode_data
from omnibus.model.content import text_of
from omnibus.model.entities import Controller, Message, RoutingDecision
from omnibus.model.events import (
    ControlChanged,
    ConversationAssigned,
    ConversationUnassigned,
)
from router.state import cut, recent_messages
from router.surroundings import queue_instead_of
from router.turn import Turn

SILENCE = "automation"
"""The kind of the timer that runs while an automation owes an answer."""

TARGET = "target"
"""The kind of the timer that runs while a conversation waits in one of several targets."""

NOBODY = Controller()
MAX_SUMMARY_MESSAGES = 10
MAX_SUMMARY_CHARS = 200
MAX_WHOLE_BYTES = 500_000
"""A message beyond this is handed over cut: a record the topic does not take would stop the partition."""
MAX_TAGS = 50


def no_automation(origin: str, human: bool, message: Message | None, *, tripped: bool = False) -> str | None:
    """Why no automation may get this conversation now; None when one may.

    A program that answers a program makes a loop (RFC 3834 section 2); what is long past needs no answer at all.
    """
    if origin == "backfill":
        return "backfill"
    if human:
        return "a person has answered"
    if tripped:
        return "too many messages"
    if message is None:
        return None
    if message.auto_submitted != "no":
        return f"automatic message ({message.auto_submitted})"
    return "loop suspected" if loop_suspected(message) else None


def loop_suspected(message: Message) -> bool:
    """Whether the normalizer thinks that two programs answer each other here."""
    return bool(message.attributes.get("loop_suspected"))


def give(
    turn: Turn,
    to: Controller,
    *,
    decision: RoutingDecision | None = None,
    reason: str | None = None,
    summary: str | None = None,
    newest: Message | None = None,
    agent: str | None = None,
) -> None:
    """Make `to` the controller: the old owner hears that it has left, the new one gets all it needs to begin.

    `newest` is the message in hand, uncut; `agent` is named as assignee. To a queue or an automation only.
    """
    was = turn.conversation.controller
    _leave(turn, was, reason)
    turn.state.accepted = False
    turn.change(controller=to, queue=to.id if to.type == "queue" else None, assignee=agent)
    assigned = ConversationAssigned(
        conversation=turn.conversation,
        to=to,
        decision=decision,
        recent=_recent(turn, newest),
        summary=summary,
    )
    turn.publish("conversation.assigned", assigned)
    verb = "offered" if to.type == "automation" else "passed"
    publish_control(turn, verb, to, was, reason)
    if to.type == "automation":
        await_answer(turn)


def stop_target_clock(turn: Turn) -> None:
    """The next target need not be tried any more."""
    if turn.state.step is not None:
        turn.state.step = None
        turn.ctx.timer_cancel(TARGET, turn.key)


def _recent(turn: Turn, newest: Message | None) -> tuple[Message, ...]:
    recent = recent_messages(turn.state)
    if newest is None or len(encode_data(newest)) > MAX_WHOLE_BYTES:
        return tuple(recent)
    return tuple(newest if message.id == newest.id else message for message in recent)


def _leave(turn: Turn, was: Controller, reason: str | None) -> None:
    turn.ctx.timer_cancel(SILENCE, turn.key)
    stop_target_clock(turn)
    if was.type != "none":
        gone = ConversationUnassigned(conversation_id=turn.conversation.id, was=was, reason=reason)
        turn.publish("conversation.unassigned", gone)


def publish_control(
    turn: Turn, verb: str, controller: Controller, was: Controller | None = None, reason: str | None = None
) -> None:
    """An entry of the control ledger."""
    entry = ControlChanged(
        conversation_id=turn.conversation.id, controller=controller, at=turn.at, was=was, reason=reason
    )
    turn.publish(f"control.{verb}", entry)


def await_answer(turn: Turn) -> None:
    """The automation owes an answer: when none comes in time, its queue takes over."""
    name = turn.conversation.controller.id or ""
    due = turn.ctx.now_ms + turn.plan.automations[name].timeout_ms
    turn.ctx.timer_set(SILENCE, turn.key, due)


def accept(turn: Turn) -> None:
    """The controller answered: with its first answer it has accepted the conversation."""
    turn.ctx.timer_cancel(SILENCE, turn.key)
    stop_target_clock(turn)
    if not turn.state.accepted and not unassigned(turn):
        turn.state.accepted = True
        publish_control(turn, "accepted", turn.conversation.controller)


def hand_over(turn: Turn, reason: str, newest: Message | None = None) -> None:
    """Give an automation's conversation to its queue, with a summary of what was said."""
    controller = turn.conversation.controller
    plan = turn.plan.automations.get(controller.id or "")
    queue = queue_instead_of(turn, turn.plan.default_queue if plan is None else plan.hand_over_to)
    summary = summary_of(recent_messages(turn.state))
    give(turn, Controller(type="queue", id=queue), reason=reason, summary=summary, newest=newest)


def summary_of(messages: Sequence[Message]) -> str | None:
    """What was said, one line a message, for whoever takes over."""
    lines = []
    for message in messages[-MAX_SUMMARY_MESSAGES:]:
        words = " ".join(text_of(message.content).split()) or f"[{message.content.__struct_config__.tag}]"
        lines.append(f"{message.author.display_name or message.author.type}: {cut(words, MAX_SUMMARY_CHARS)}")
    return "\n".join(lines) or None


def under_automation(turn: Turn) -> bool:
    """Whether an automation has the conversation."""
    return turn.conversation.controller.type == "automation"


def unassigned(turn: Turn) -> bool:
    """Whether nobody has it (new, held or dropped)."""
    return turn.conversation.controller.type == "none"


def person_takes_over(turn: Turn, agent: str | None = None) -> None:
    """A person has answered: from here on automations keep silent."""
    turn.state.human = True
    if under_automation(turn):
        hand_over(turn, "a person answered")
    turn.change(assignee=agent or turn.conversation.assignee)
    accept(turn)


def tell_timed_out(turn: Turn) -> None:
    """The controller gave no answer in time."""
    publish_control(turn, "timed_out", turn.conversation.controller, reason="no answer in time")


def release(turn: Turn, reason: str) -> None:
    """A person is done with it: automations may speak again."""
    if turn.state.human:
        turn.state.human = False
        publish_control(turn, "released", turn.conversation.controller, reason=reason)


def mend_owner(turn: Turn) -> None:
    """Take a conversation from a queue or automation that the configuration no longer has."""
    controller = turn.conversation.controller
    if controller.type not in ("queue", "automation") or turn.plan.knows_target(controller.type, controller.id):
        return
    # Its topic may be gone, so the old owner is not told.
    turn.change(controller=NOBODY, queue=None)
    gone = f"{controller.type} {controller.id} is no longer configured"
    queue = Controller(type="queue", id=turn.plan.default_queue)
    give(turn, queue, reason=gone, summary=summary_of(recent_messages(turn.state)))


def finish(turn: Turn) -> None:
    """The conversation is closed: nobody has it any more."""
    was = turn.conversation.controller
    release(turn, "closed")
    _leave(turn, was, "closed")
    turn.change(controller=NOBODY, queue=None, assignee=None, waiting_since=None)
