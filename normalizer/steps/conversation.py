"""Conversations: opened by the first message of a thread, continued until closed or silent for too long.

The task that owns the raw partition is the only writer of its threads, so two messages that arrive at once can never
open two conversations.
"""

from __future__ import annotations

from normalizer.state import Thread
from normalizer.work import Work
from omnibus import clock
from omnibus.channel.events import Message
from omnibus.model import ids
from omnibus.model.entities import ChannelIdentity, Conversation, Related
from omnibus.model.events import CloseThread, ConversationClosed, ConversationOpened


def is_over(work: Work, thread: Thread) -> bool:
    """Whether the next message opens a follow-up: the conversation was closed, or silent for the account's window."""
    silence_ms = work.received_ms - thread.last_at
    return thread.closed or silence_ms > work.account.inactivity.total_seconds() * 1000


def continue_or_open(
    work: Work, message: Message, message_id: str, native: str, thread_key: str, sender: ChannelIdentity
) -> Thread:
    """The thread's running conversation, or a new one (then `conversation.opened` is emitted)."""
    thread = work.state.thread(work.scope, thread_key)
    if thread is not None and not is_over(work, thread):
        return thread
    if thread is not None and not thread.closed:
        # The thread is the new one's from here on: whoever asks to close this one later would not be heard.
        _close(work, thread, "inactivity")
    opened = Thread(
        conversation_id=ids.conversation_id(work.scope, thread_key, message_id),
        contact_id=ids.contact_id(sender.id),
        convseq=0,
        last_at=work.received_ms,
    )
    data = ConversationOpened(conversation=_new_conversation(work, message, thread_key, opened, sender, thread))
    event_id = work.event_id(native, "conversation.opened")
    work.emit(opened, "conversation.opened", event_id, data, at_ms=clock.to_ms(message.at))
    return opened


def _new_conversation(
    work: Work,
    message: Message,
    thread_key: str,
    opened: Thread,
    sender: ChannelIdentity,
    previous: Thread | None,
) -> Conversation:
    related = () if previous is None else (Related(type="follow_up", id=previous.conversation_id),)
    return Conversation(
        id=opened.conversation_id,
        channel=work.raw.channel,
        channel_account_id=work.account.name,
        thread_key=thread_key,
        contact_id=opened.contact_id,
        status="new",
        first_inbound_at=message.at,
        participants=(sender,),
        subject=message.subject,
        referral=message.referral,
        creation_reason="backfill" if work.raw.origin == "backfill" else "message",
        related=related,
    )


def close(work: Work, request: CloseThread) -> None:
    """Close the conversation if it is still the thread's, open, and has not moved on since the router looked."""
    thread = work.state.thread(work.scope, request.thread)
    if thread is None or thread.closed or thread.conversation_id != request.conversation_id:
        return
    if thread.convseq != request.convseq:
        return
    _close(work, thread, request.reason)
    work.state.keep_thread(work.scope, request.thread, thread)


def _close(work: Work, thread: Thread, reason: str) -> None:
    thread.closed = True
    closed = ConversationClosed(
        conversation_id=thread.conversation_id, at=clock.from_ms(work.received_ms), reason=reason
    )
    event_id = ids.event_id(work.scope, thread.conversation_id, "conversation.closed")
    work.emit(thread, "conversation.closed", event_id, closed, at_ms=work.received_ms)
