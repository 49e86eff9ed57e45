"""What we write to the contact: checked, remembered, told to everybody, and handed to the channel."""

from __future__ import annotations

from omnibus.errors import Refused
from omnibus.model.entities import InReplyTo, Message, Native
from omnibus.model.events import OUTBOUND, MessageSent, Outbound, Reply
from router.state import note_sent, recent_messages, remember_message
from router.status import answered
from router.turn import Turn

SENDABLE = frozenset(
    {
        "text",
        "email",
        "image",
        "audio",
        "video",
        "file",
        "sticker",
        "location",
        "contact_card",
        "choices",
        "form",
        "card",
        "carousel",
        "list",
        "template",
        "product",
    }
)
"""The content kinds that somebody on our side can write; the others come from contacts and channels only."""


def check(turn: Turn, reply: Reply) -> None:
    """Raises Refused when the message cannot leave."""
    kind = str(reply.content.__struct_config__.tag)
    if kind not in SENDABLE:
        raise Refused("UNSUPPORTED_OPERATION", f"{kind} is nothing that can be sent")
    channel, account = turn.conversation.channel, turn.conversation.channel_account_id
    plan = turn.plan.accounts.get(account)
    # Its topic would not be there: one such reply must not stop the partition.
    if plan is None or plan.channel not in (None, channel):
        raise Refused("CHANNEL_BAD_CONFIGURATION", f"there is no {channel} account {account} any more")
    if plan.sends is not None and not plan.sends:
        raise Refused("UNSUPPORTED_OPERATION", f"{channel} can receive only")
    if turn.state.sender is None and not turn.conversation.participants:
        raise Refused("RECIPIENT_NOT_REACHABLE", "nobody of the conversation is known by a channel identity")


def send(turn: Turn, reply: Reply, command_id: str | None = None, part: str | None = None) -> Message:
    """Write it; `part` tells several messages of one cause apart. It must have passed `check`."""
    message = _message_of(turn, reply, part)
    remember_message(turn.state, message)
    turn.state.activity_ms = max(turn.state.activity_ms, turn.cause.time_ms)
    note_sent(turn.state, message.id, message.status)
    answered(turn, message)
    turn.publish("message.sent", MessageSent(message=message, command_id=command_id))
    recipient = turn.state.sender or turn.conversation.participants[0]
    outbound = Outbound(
        message=message,
        conversation=turn.conversation,
        recipient=recipient,
        command_id=command_id,
        after=_last_of_contact(turn),
    )
    turn.send(OUTBOUND, outbound, turn.plan.topics.outbound(turn.conversation.channel))
    return message


def _last_of_contact(turn: Turn) -> Message | None:
    return next((each for each in reversed(recent_messages(turn.state)) if each.direction == "inbound"), None)


def _message_of(turn: Turn, reply: Reply, part: str | None) -> Message:
    conversation = turn.conversation
    return Message(
        id=turn.derived("msg") if part is None else turn.derived("msg", part),
        conversation_id=conversation.id,
        channel=conversation.channel,
        channel_account_id=conversation.channel_account_id,
        direction="outbound",
        author=reply.author,
        content=reply.content,
        status="queued",
        created_at=turn.at,
        received_at=turn.at,
        native=Native(thread_id=conversation.thread_key),
        attachments=reply.attachments,
        in_reply_to=_answered_message(turn, reply.in_reply_to),
        language=conversation.language,
        auto_submitted=reply.auto_submitted,
    )


def _answered_message(turn: Turn, message_id: str | None) -> InReplyTo | None:
    """What the reply answers. A mail always answers the last one, or it would leave the thread."""
    last = turn.state.last_inbound
    if message_id is None:
        if last is None or not last.mail:
            return None
        return InReplyTo(message_id=last.message_id, native_id=last.native_id)
    if last is not None and last.message_id == message_id:
        return InReplyTo(message_id=message_id, native_id=last.native_id)
    named = next((message for message in recent_messages(turn.state) if message.id == message_id), None)
    return InReplyTo(message_id=message_id, native_id=None if named is None else named.native.message_id)
