"""The normalizer's events: what each one means for the conversation, and who gets to see it."""

from __future__ import annotations

import msgspec

from omnibus import clock
from omnibus.bus.port import Record
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes
from omnibus.model.codec import Event
from omnibus.model.content import Email, text_of
from omnibus.model.entities import Conversation, Message
from omnibus.model.events import (
    ConversationClosed,
    MessageAttachment,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MessageSent,
)
from router import breaker, clocks, control, routing, survey
from router.state import (
    ConversationState,
    LastInbound,
    change_message,
    note_native,
    note_sent,
    recent_messages,
    remember_message,
    with_attachment,
)
from router.status import CLOSED, answered, reopen
from router.surroundings import facts_of
from router.turn import Turn

LAST_INBOUND_AUTO = "last_inbound_auto_submitted"
"""Attribute of a conversation: the `auto_submitted` of the contact's last message, where that was not ``no``."""


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
    breaker.note_pace(turn, message)
    if survey.take_answer(turn, message):
        turn.forward(record)
        return
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
        attributes=_noted(conversation.attributes, message.auto_submitted),
    )


def _noted(attributes: Attributes, auto_submitted: str) -> Attributes:
    """The attributes, saying whether a machine wrote last: the sender lets no machine answer it."""
    if auto_submitted != "no":
        return {**attributes, LAST_INBOUND_AUTO: auto_submitted}
    if LAST_INBOUND_AUTO not in attributes:
        return attributes
    return {name: value for name, value in attributes.items() if name != LAST_INBOUND_AUTO}


def _wait_for_answer(turn: Turn, message: Message) -> None:
    """A person wrote: the conversation waits for us, and is not settled after all."""
    conversation = turn.conversation
    status = conversation.status if conversation.status == "new" else "open"
    turn.change(status=status, waiting_since=conversation.waiting_since or message.created_at)
    if conversation.status == "resolved":
        reopen(turn, "message")


def _deliver(turn: Turn, message: Message, record: Record) -> None:
    if control.unassigned(turn):
        routing.route(turn, message)
    elif not control.under_automation(turn):
        turn.forward(record)
    else:
        _deliver_to_automation(turn, message, record)


def _deliver_to_automation(turn: Turn, message: Message, record: Record) -> None:
    """A person may ask for a person at any time; what a program wrote, or is long past, is kept from ours."""
    if turn.cause.origin == "backfill":
        return
    if control.loop_suspected(message):
        control.hand_over(turn, "loop suspected", message)
    elif message.auto_submitted != "no":
        return
    elif facts_of(turn, message, None).asks_for_human:
        control.hand_over(turn, "asked for a person", message)
    else:
        turn.forward(record)
        control.await_answer(turn)


def on_echo(turn: Turn, event: Event, record: Record) -> None:
    """The channel shows what our side wrote: our own reply, which is known, or what somebody wrote elsewhere."""
    data: MessageSent = event.data
    if turn.conversation.status == CLOSED:
        raise InvalidPayload("ce_subject", f"conversation {event.subject} is closed")
    turn.state.activity_ms = max(turn.state.activity_ms, turn.cause.time_ms)
    if data.message.raw_ref is not None:
        turn.state.partition = data.message.raw_ref.partition
    if _is_ours(turn, data.message):
        return
    remember_message(turn.state, data.message)
    _on_echo(turn, data.message, record)


def _is_ours(turn: Turn, message: Message) -> bool:
    """Whether we sent it: the provider's id is known, or will be of a reply with the same words still on its way."""
    native = message.native.message_id
    if native is None:
        return False
    if native in turn.state.natives:
        return True
    known = set(turn.state.natives.values())
    words = text_of(message.content).strip()
    for one in reversed(recent_messages(turn.state)):
        on_its_way = one.direction == "outbound" and one.id in turn.state.sent and one.id not in known
        if on_its_way and words and text_of(one.content).strip() == words:
            note_native(turn.state, native, one.id)
            return True
    return False


def _on_echo(turn: Turn, message: Message, record: Record) -> None:
    """Written on our side, outside of Omnibus (the phone the number is on, the provider's own inbox)."""
    if message.native.message_id is not None:
        note_native(turn.state, message.native.message_id, message.id)
    note_sent(turn.state, message.id, message.status)
    if message.auto_submitted == "no":
        control.person_takes_over(turn, message.author.id if message.author.type == "agent" else None)
        message = msgspec.structs.replace(message, author=msgspec.structs.replace(message.author, type="agent"))
    answered(turn, message)
    turn.forward(record)


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
        routing.route(turn, None)
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
