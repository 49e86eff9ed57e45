"""The breaker: a conversation that is too fast for a person is kept from automations until it is quiet again."""

from __future__ import annotations

from typing import ClassVar

from omnibus import clock
from omnibus.model.base import Attributes
from omnibus.model.entities import Message
from omnibus.model.events import BreakerChanged, ConversationUpdated
from omnibus.telemetry import facts
from router import control
from router.state import Pace
from router.turn import Turn

BREAKER = "breaker"
"""The kind of its timer, and the conversation attribute that says it is tripped."""


class BreakerTripped(facts.Fact, frozen=True, kw_only=True):
    """A conversation is too fast to be a person's; automations keep out of it."""

    level: ClassVar[facts.Level] = "warning"
    conversation: str
    channel: str
    account: str


def note_pace(turn: Turn, message: Message) -> None:
    """Count a message of the contact's side; too many trip the breaker."""
    if turn.cause.origin != "live":
        return
    settings, at = turn.plan.breaker, turn.cause.time_ms
    pace = turn.state.pace = turn.state.pace or Pace()
    if at - pace.since_ms > settings.within.total_seconds() * 1000:
        pace.since_ms, pace.count = at, 0
    pace.count += 1
    pace.last_ms = max(pace.last_ms, at)
    if pace.count > settings.messages and not pace.tripped:
        _trip(turn, pace, message)


def _trip(turn: Turn, pace: Pace, message: Message) -> None:
    pace.tripped = True
    conversation = turn.conversation
    facts.emit(
        BreakerTripped(
            conversation=conversation.id, channel=conversation.channel, account=conversation.channel_account_id
        )
    )
    release_ms = pace.last_ms + _release_after_ms(turn)
    told = BreakerChanged(
        conversation_id=conversation.id,
        at=turn.at,
        messages=pace.count,
        since=clock.from_ms(pace.since_ms),
        release_at=clock.from_ms(release_ms),
    )
    _tell(turn, "tripped", told, {**conversation.attributes, BREAKER: "tripped"})
    turn.ctx.timer_set(BREAKER, turn.key, release_ms)
    if control.under_automation(turn):
        control.hand_over(turn, "too many messages", message)


def on_breaker(turn: Turn) -> None:
    """Release it when it was quiet for long enough, otherwise look again."""
    pace = turn.state.pace
    if pace is None or not pace.tripped:
        return
    quiet_at = pace.last_ms + _release_after_ms(turn)
    if quiet_at > turn.cause.time_ms:
        turn.ctx.timer_set(BREAKER, turn.key, quiet_at)
        return
    turn.state.pace = None
    rest = {name: value for name, value in turn.conversation.attributes.items() if name != BREAKER}
    _tell(turn, "released", BreakerChanged(conversation_id=turn.conversation.id, at=turn.at), rest)


def _tell(turn: Turn, verb: str, told: BreakerChanged, attributes: Attributes) -> None:
    turn.change(attributes=attributes)
    turn.publish(f"breaker.{verb}", told)
    turn.publish("conversation.updated", ConversationUpdated(conversation=turn.conversation, changed=("attributes",)))


def _release_after_ms(turn: Turn) -> int:
    return int(turn.plan.breaker.release_after.total_seconds() * 1000)
