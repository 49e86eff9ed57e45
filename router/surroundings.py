"""What is around the conversation in hand, as rules and placement ask for it."""

from __future__ import annotations

from omnibus.model.entities import ChannelIdentity, Message
from router.around import Around
from router.placement import Placing
from router.rules.facts import Facts
from router.turn import Turn


def around_of(turn: Turn) -> Around:
    """Queues, calendars and where the contact was, at the time of the cause."""
    plan, board = turn.plan, turn.board
    return Around(
        now_ms=turn.cause.time_ms,
        queues={name: plan.queue(name) for name in plan.queues},
        calendars=plan.calendars,
        loads=board.loads,
        paused=board.paused,
        last_place=lambda: board.last_place(turn.conversation.contact_id),
    )


def facts_of(
    turn: Turn, message: Message | None, sender: ChannelIdentity | None, around: Around | None = None
) -> Facts:
    """What the rules may look at now."""
    return Facts(
        conversation=turn.conversation,
        message=message,
        sender=sender or turn.state.sender,
        now_ms=turn.cause.time_ms,
        words=turn.plan.rules.words,
        origin=turn.cause.origin,
        around=around or around_of(turn),
    )


def placing_of(turn: Turn, around: Around, barred: str | None, skills: frozenset[str] = frozenset()) -> Placing:
    """A placement of the conversation in hand."""
    plan = turn.plan
    return Placing(around=around, default=plan.default_queue, skills=skills, barred=barred, known=plan.has_target)


def queue_instead_of(turn: Turn, queue: str) -> str:
    """The queue itself, or the one that takes its conversations while it is paused or full.

    For hand-overs: a closed queue's conversations do not go back to the automation that says it is closed.
    """
    to = placing_of(turn, around_of(turn), "handed over").on_from(queue, hours=False).to
    return to.removeprefix("queue:")
