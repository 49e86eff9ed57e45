"""The normalizer's events: what each one means for the conversation, and who gets to see it."""

from __future__ import annotations

import msgspec

from omnibus import clock
from omnibus.bus.port import Record
from omnibus.errors import InvalidPayload
from omnibus.model.codec import Event
from omnibus.model.content import Email
from omnibus.model.entities import Conversation, Message
from omnibus.model.events import (
    ConversationClosed,
    ConversationReopened,
    MessageAttachment,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
)
from router import clocks, control
from router.state import (
    ConversationState,
    LastInbound,
    change_message,
    note_native,
    note_sent,
    remember_message,
    with_attachment,
)
from router.turn import Turn

CLOSED = "closed"


def opened_state(event: Event) -> ConversationState:
    """The entry of a conversation that begins."""
    conversation: Conversation = event.data.conversation
    if conversation.id != event.subject:
        raise InvalidPayload("conversation.id", "is not the event's subject")
    return ConversationState(conversation=conversation)


def on_opened(turn: Turn, event: Event, record: Record) -> None:
    """A conversation begins. It is routed with its first message, which follows."""
    turn.state.activity_ms = turn.cause.time_ms
    clocks.arm_inactivity(turn)


def on_received(turn: Turn, event: Event, record: Record) -> None:
    """Somebody wrote to us, or the channel shows us what our side wrote elsewhere."""
    data: MessageReceived = event.data
    message = data.message
    if turn.conversation.status == CLOSED:
        # Its owner would have opened a follow-up; a message put here must be seen by somebody, not lost.
        raise InvalidPayload("ce_subject", f"conversation {event.subject} is closed")
    if message.direction != "inbound" and _is_our_own(turn, message):
        return
    remember_message(turn.state, message)
    turn.state.activity_ms = max(turn.state.activity_ms, turn.cause.time_ms)
    if message.raw_ref is not None:
        turn.state.partition = message.raw_ref.partition
    if message.direction != "inbound":
        _on_echo(turn, message, record)
        return
    turn.state.sender = data.sender or turn.state.sender
    _note_inbound(turn, message)
    if message.auto_submitted == "no":
        _wait_for_answer(turn, message)
    _deliver(turn, message, record)


def _is_our_own(turn: Turn, message: Message) -> bool:
    """Whether the channel shows us what we sent ourselves, and already have under our own id."""
    known = turn.state.natives.get(message.native.message_id or "")
    return known is not None and known != message.id


def _note_inbound(turn: Turn, message: Message) -> None:
    turn.state.last_inbound = LastInbound(message.id, message.native.message_id, isinstance(message.content, Email))
    conversation, at = turn.conversation, message.created_at
    window = turn.plan.account(conversation.channel_account_id).reply_window_ms
    last = max(at, conversation.last_inbound_at or at)
    turn.change(
        first_inbound_at=conversation.first_inbound_at or at,
        last_inbound_at=last,
        window_expires_at=None if window is None else clock.from_ms(clock.to_ms(last) + window),
        language=conversation.language or message.language,
    )


def _wait_for_answer(turn: Turn, message: Message) -> None:
    """A person wrote: the conversation waits for us, and is not settled after all."""
    conversation = turn.conversation
    status = conversation.status if conversation.status == "new" else "open"
    turn.change(status=status, waiting_since=conversation.waiting_since or message.created_at)
    if conversation.status == "resolved":
        reopen(turn, "message")


def reopen(turn: Turn, reason: str) -> None:
    """It was not settled after all."""
    turn.change(status="open", resolved_at=None, reopen_count=turn.conversation.reopen_count + 1)
    reopened = ConversationReopened(conversation_id=turn.conversation.id, at=turn.at, reason=reason)
    turn.publish("conversation.reopened", reopened)


def _deliver(turn: Turn, message: Message, record: Record) -> None:
    if control.unassigned(turn):
        control.route(turn, message)
    elif not control.under_automation(turn):
        turn.forward(record)
    else:
        _deliver_to_automation(turn, message, record)


def _deliver_to_automation(turn: Turn, message: Message, record: Record) -> None:
    """A person may ask for a person at any time; what a program wrote is kept from ours."""
    if control.loop_suspected(message):
        control.hand_over(turn, "loop suspected", message)
    elif message.auto_submitted != "no":
        return
    elif control.facts_of(turn, message, None).asks_for_human:
        control.hand_over(turn, "asked for a person", message)
    else:
        turn.forward(record)
        control.await_answer(turn)


def _on_echo(turn: Turn, message: Message, record: Record) -> None:
    """Written on our side, outside of Omnibus (the phone the number is on, the provider's own inbox)."""
    if message.native.message_id is not None:
        note_native(turn.state, message.native.message_id, message.id)
    note_sent(turn.state, message.id, message.status)
    answered(turn, message)
    if message.author.type == "agent":
        control.person_takes_over(turn, message.author.id)
    turn.forward(record)


def answered(turn: Turn, message: Message) -> None:
    """We wrote. What a program sends by itself is no answer: the person still waits."""
    conversation, at = turn.conversation, message.created_at
    turn.change(last_outbound_at=max(at, conversation.last_outbound_at or at))
    if message.auto_submitted != "no" or message.visibility != "public":
        return
    turn.change(waiting_since=None)
    if conversation.status not in ("resolved", CLOSED):
        turn.change(status="waiting_on_contact")
    if message.author.type == "agent":
        turn.change(first_response_at=conversation.first_response_at or at)


def on_edited(turn: Turn, event: Event, record: Record) -> None:
    """The words of a message changed."""
    data: MessageEdited = event.data

    def edited(message: Message) -> Message:
        return msgspec.structs.replace(message, content=data.content, edited=True)

    change_message(turn.state, data.message_id, edited)
    turn.forward(record)


def on_deleted(turn: Turn, event: Event, record: Record) -> None:
    """A message was taken back."""
    data: MessageDeleted = event.data
    turn.state.recent = [kept for kept in turn.state.recent if kept.id != data.message_id]
    turn.forward(record)


def on_attachment(turn: Turn, event: Event, record: Record) -> None:
    """A file that was still being fetched has arrived, or never will."""
    data: MessageAttachment = event.data
    change_message(turn.state, data.message_id, lambda message: with_attachment(message, data.attachment))
    turn.forward(record)


def on_call(turn: Turn, event: Event, record: Record) -> None:
    """A call rings or went on; the first sign of one places the conversation."""
    turn.state.activity_ms = max(turn.state.activity_ms, turn.cause.time_ms)
    if control.unassigned(turn) and event.data.direction == "inbound":
        control.route(turn, None)
    turn.forward(record)


def on_other(turn: Turn, event: Event, record: Record) -> None:
    """Everything else about a conversation is its owner's to see."""
    turn.forward(record)


def on_closed(turn: Turn, event: Event, record: Record) -> None:
    """The thread's owner has closed it: nothing of it is open any more."""
    data: ConversationClosed = event.data
    turn.forward(record)
    control.finish(turn)
    turn.change(status=CLOSED, closed_at=data.at, snoozed_until=None)
    clocks.forget_later(turn)
