"""The router's timers: silent automations, inactive conversations, and entries nobody needs any more."""

from __future__ import annotations

from omnibus.model.events import CLOSE_THREAD, CloseThread
from router import control
from router.turn import Turn

INACTIVITY = "inactivity"
FORGET = "forget"


def arm_inactivity(turn: Turn) -> None:
    """Look at the conversation again when its window has passed. Not moved with each message: `on_inactivity` looks."""
    turn.ctx.timer_set(INACTIVITY, turn.key, turn.ctx.now_ms + _window(turn))


def on_inactivity(turn: Turn) -> None:
    """The window is over: ask the thread's owner to close the conversation, unless it was used meanwhile."""
    due = turn.state.activity_ms + _window(turn)
    if due > turn.ctx.now_ms:
        turn.ctx.timer_set(INACTIVITY, turn.key, due)
        return
    _ask_to_close(turn)
    # The owner ignores a closing that is overtaken by a message; then it must be asked again.
    turn.ctx.timer_set(INACTIVITY, turn.key, turn.ctx.now_ms + _window(turn))


def _ask_to_close(turn: Turn) -> None:
    conversation = turn.conversation
    if turn.state.partition is None:
        return
    closing = CloseThread(
        conversation_id=conversation.id,
        account=conversation.channel_account_id,
        thread=conversation.thread_key,
        convseq=turn.state.convseq,
        reason="resolved" if conversation.status == "resolved" else "inactivity",
    )
    turn.send(CLOSE_THREAD, closing, turn.plan.topics.control, turn.state.partition)


def forget_later(turn: Turn) -> None:
    """A closed conversation's entry serves late receipts for some time."""
    turn.ctx.timer_cancel(INACTIVITY, turn.key)
    turn.ctx.timer_cancel(control.SILENCE, turn.key)
    control.stop_target_clock(turn)
    turn.ctx.timer_set(FORGET, turn.key, turn.ctx.now_ms + turn.plan.closed_kept_ms)


def _window(turn: Turn) -> int:
    return turn.plan.account(turn.conversation.channel_account_id).inactivity_ms
