"""What a message of ours, or the end of a matter, does to a conversation's status."""

from __future__ import annotations

from omnibus.model.entities import Message
from omnibus.model.events import ConversationReopened
from router.turn import Turn

CLOSED = "closed"
RESOLVED = "resolved"


def reopen(turn: Turn, reason: str) -> None:
    """It was not settled after all."""
    turn.change(status="open", resolved_at=None, reopen_count=turn.conversation.reopen_count + 1)
    reopened = ConversationReopened(conversation_id=turn.conversation.id, at=turn.at, reason=reason)
    turn.publish("conversation.reopened", reopened)


def answered(turn: Turn, message: Message) -> None:
    """We wrote. What a program sends by itself is no answer: the person still waits."""
    conversation, at = turn.conversation, message.created_at
    turn.change(last_outbound_at=max(at, conversation.last_outbound_at or at))
    if message.auto_submitted != "no" or message.visibility != "public":
        return
    turn.change(waiting_since=None)
    if conversation.status not in (RESOLVED, CLOSED):
        turn.change(status="waiting_on_contact")
    if message.author.type == "agent":
        turn.change(first_response_at=conversation.first_response_at or at)
