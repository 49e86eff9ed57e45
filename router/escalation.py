"""What happens when a clock warns or runs out, and when somebody waits for long: nothing in a queue starves."""

from __future__ import annotations

from omnibus.config.model import Escalation
from omnibus.model.content import Text
from omnibus.model.entities import Author, Controller, Message
from omnibus.model.events import ConversationUpdated, MessageSent
from router import control, sla
from router.control import MAX_TAGS
from router.rules.rule import PRIORITIES
from router.sla import SETTLED
from router.state import recent_messages, remember_message
from router.surroundings import queue_instead_of
from router.turn import Turn

AGE = "age"
"""The kind of the timer that raises the priority of who waits."""
SYSTEM = Author(type="system", id="router")


def on_sla(turn: Turn) -> None:
    """A clock warned or ran out: do what the queue says."""
    for alarm in sla.ring(turn):
        actions = turn.plan.queue(turn.state.sla_queue).sla.escalate
        for index, action in enumerate(actions):
            if action.on == alarm.kind and action.metric in (None, alarm.metric):
                _escalate(turn, action, alarm.metric, f"{alarm.metric}-{alarm.kind}-{index}")


def _escalate(turn: Turn, action: Escalation, metric: str, part: str) -> None:
    before = turn.conversation
    tags = tuple(dict.fromkeys((*before.tags, *action.tags)))[:MAX_TAGS]
    turn.change(tags=tags, priority=_higher(before.priority, action.priority))
    _tell_changes(turn, before.tags != tags, before.priority)
    if action.queue is not None and action.queue != before.queue:
        to = Controller(type="queue", id=queue_instead_of(turn, action.queue))
        if to != turn.conversation.controller:
            summary = control.summary_of(recent_messages(turn.state))
            control.give(turn, to, reason=f"{metric} {action.on}", summary=summary, agent=before.assignee)
    if action.notify is not None:
        _note(turn, action.notify, part)


def _higher(one: str, other: str | None) -> str:
    """The higher of two priorities; one nobody knows stays as it is."""
    if other is None or one not in PRIORITIES:
        return one
    return max(one, other, key=PRIORITIES.index)


def _tell_changes(turn: Turn, tags: bool, priority: str) -> None:
    changed = (*(("tags",) if tags else ()), *(("priority",) if turn.conversation.priority != priority else ()))
    if changed:
        turn.publish("conversation.updated", ConversationUpdated(conversation=turn.conversation, changed=changed))


def _note(turn: Turn, text: str, part: str) -> None:
    """An internal note for whoever has the conversation."""
    conversation = turn.conversation
    message = Message(
        id=turn.derived("msg", part),
        conversation_id=conversation.id,
        channel=conversation.channel,
        channel_account_id=conversation.channel_account_id,
        direction="internal",
        visibility="internal",
        author=SYSTEM,
        content=Text(text=text),
        status="sent",
        created_at=turn.at,
        received_at=turn.at,
        auto_submitted="auto_generated",
    )
    remember_message(turn.state, message)
    turn.publish("message.sent", MessageSent(message=message))


# --- age ----------------------------------------------------------------------------------------


def follow_age(turn: Turn) -> None:
    """Run the clock of age while somebody waits in a queue that has one."""
    conversation = turn.conversation
    every = turn.plan.queue(conversation.queue).raise_priority_after_ms
    waits = conversation.waiting_since is not None and conversation.status not in SETTLED
    waits = waits and turn.cause.origin != "backfill"
    wanted = every is not None and waits and conversation.priority in PRIORITIES[:-1]
    if wanted and every is not None and not turn.state.ageing:
        turn.state.ageing = True
        turn.ctx.timer_set(AGE, turn.key, turn.cause.time_ms + every)
    elif not wanted and turn.state.ageing:
        turn.state.ageing = False
        turn.ctx.timer_cancel(AGE, turn.key)


def on_age(turn: Turn) -> None:
    """Somebody has waited for long: one step up."""
    turn.state.ageing = False
    before = turn.conversation.priority
    if turn.conversation.waiting_since is None or before not in PRIORITIES[:-1]:
        return
    turn.change(priority=PRIORITIES[PRIORITIES.index(before) + 1])
    _tell_changes(turn, tags=False, priority=before)
