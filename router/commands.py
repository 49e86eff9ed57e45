"""What downstream wants done. Every command is carried out or answered with a failure; none is silently dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omnibus.bus.port import Record
from omnibus.errors import Refused
from omnibus.model.codec import Event
from omnibus.model.content import Text
from omnibus.model.entities import (
    Author,
    Controller,
    DeliveryState,
    FailureReason,
    InReplyTo,
    Message,
    Native,
)
from omnibus.model.events import (
    OUTBOUND,
    ConversationResolved,
    ConversationUpdated,
    MessageDelivery,
    MessageSent,
    Note,
    Outbound,
    Reopen,
    Reply,
    Resolve,
    SinkResult,
    Tag,
    Transfer,
)
from router import control
from router.control import MAX_TAGS
from router.messages import CLOSED, answered, reopen
from router.rules.ruleset import PRIORITIES
from router.state import cut, note_sent, recent_messages, remember_message
from router.turn import Turn

ROUTER_SINK = "router"
MAX_COMMAND_BYTES = 300_000
"""What a command makes must fit into a record together with the conversation."""
MAX_TAG_CHARS = 100
MAX_ATTRIBUTE_BYTES = 4_096
MAX_REASON_CHARS = 500
MAX_SUMMARY_CHARS = 10_000
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


def carry_out(turn: Turn, event: Event, record: Record) -> None:
    """Do what a command says, or publish why not."""
    try:
        if len(record.value or b"") > MAX_COMMAND_BYTES:
            raise Refused("INVALID_COMMAND", f"larger than {MAX_COMMAND_BYTES} bytes")
        if turn.conversation.status == CLOSED:
            raise Refused("CONVERSATION_CLOSED", "the conversation is closed; the next message opens another")
        _may(turn, event.data.author if hasattr(event.data, "author") else None)
        COMMANDS[type(event.data)](turn, event)
    except Refused as refused:
        publish_failure(turn, event, refused)


def _may(turn: Turn, author: Author | None) -> None:
    """A program may act only while it has the conversation: a late answer must not talk over a person."""
    if author is None or author.type != "bot":
        return
    if turn.conversation.controller != Controller(type="automation", id=author.id):
        raise Refused("NOT_CONTROLLER", f"{author.id or 'the automation'} does not have the conversation")


def publish_failure(turn: Turn, event: Event, refused: Refused) -> None:
    """Say that a command failed: as a delivery for a reply, as a sink result of the router's for the others."""
    if isinstance(event.data, Reply):
        turn.publish("message.delivery", failed_delivery(turn, event, refused))
    else:
        turn.publish("sink.failed", failed_command(turn, event.id, refused))


def failed_delivery(turn: Turn, event: Event, refused: Refused) -> MessageDelivery:
    """The failed delivery of a reply that never left."""
    reason = FailureReason(code=refused.code, description=refused.reason)
    state = DeliveryState(status="failed", at=turn.at, reason=reason, final=True)
    return MessageDelivery(
        conversation_id=turn.conversation.id,
        delivery=state,
        message_id=turn.derived("msg"),
        command_id=event.id,
    )


def failed_command(turn: Turn, command_id: str, refused: Refused) -> SinkResult:
    """The failure of a command that is no reply."""
    return SinkResult(
        sink=ROUTER_SINK,
        event_id=command_id,
        conversation_id=turn.conversation.id,
        status="failed",
        at=turn.at,
        code=refused.code,
        reason=refused.reason,
    )


# --- replies and notes --------------------------------------------------------------------------


def _reply(turn: Turn, event: Event) -> None:
    reply: Reply = event.data
    _check_content(turn, reply)
    recipient = turn.state.sender or next(iter(turn.conversation.participants), None)
    if recipient is None:
        raise Refused("RECIPIENT_NOT_REACHABLE", "nobody of the conversation is known by a channel identity")
    if reply.author.type == "agent":
        control.person_takes_over(turn, reply.author.id)
    else:
        control.accept(turn)
    message = _message_of(turn, reply)
    _wrote(turn, message)
    turn.publish("message.sent", MessageSent(message=message, command_id=event.id))
    outbound = Outbound(message=message, conversation=turn.conversation, recipient=recipient, command_id=event.id)
    turn.send(OUTBOUND, outbound, turn.plan.topics.outbound(turn.conversation.channel))


def _check_content(turn: Turn, reply: Reply) -> None:
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


def _message_of(turn: Turn, reply: Reply) -> Message:
    conversation = turn.conversation
    return Message(
        id=turn.derived("msg"),
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


def _wrote(turn: Turn, message: Message) -> None:
    remember_message(turn.state, message)
    turn.state.activity_ms = max(turn.state.activity_ms, turn.cause.time_ms)
    if message.direction == "outbound":
        note_sent(turn.state, message.id, message.status)
    answered(turn, message)


def _note(turn: Turn, event: Event) -> None:
    note: Note = event.data
    conversation = turn.conversation
    message = Message(
        id=turn.derived("msg"),
        conversation_id=conversation.id,
        channel=conversation.channel,
        channel_account_id=conversation.channel_account_id,
        direction="internal",
        visibility="internal",
        author=note.author,
        content=Text(text=note.text),
        status="sent",
        created_at=turn.at,
        received_at=turn.at,
    )
    remember_message(turn.state, message)
    turn.publish("message.sent", MessageSent(message=message, command_id=event.id))


# --- status, place, tags ------------------------------------------------------------------------


def _resolve(turn: Turn, event: Event) -> None:
    resolve: Resolve = event.data
    if turn.conversation.status == "resolved":
        return
    control.accept(turn)
    turn.change(status="resolved", resolved_at=turn.at, waiting_since=None)
    resolved = ConversationResolved(conversation_id=turn.conversation.id, at=turn.at, by=resolve.author)
    turn.publish("conversation.resolved", resolved)
    control.release(turn, "resolved")


def _reopen(turn: Turn, event: Event) -> None:
    if turn.conversation.status == "resolved":
        reopen(turn, "command")


def _transfer(turn: Turn, event: Event) -> None:
    transfer: Transfer = event.data
    kind, _, name = transfer.to.partition(":")
    if kind not in ("queue", "automation") or not turn.plan.knows_target(kind, name):
        known = [f"queue:{queue}" for queue in turn.plan.queues]
        known += [f"automation:{automation}" for automation in turn.plan.automations]
        raise Refused("UNKNOWN_TARGET", f"no {transfer.to[:200]!r}; known: {', '.join(known)[:500]}")
    to = Controller(type=kind, id=name)
    if to == turn.conversation.controller:
        return
    if transfer.author.type == "bot":
        control.accept(turn)
    if kind == "automation":
        control.release(turn, "transferred")
    summary = transfer.summary or control.summary_of(recent_messages(turn.state))
    reason = None if transfer.reason is None else cut(transfer.reason, MAX_REASON_CHARS)
    control.give(turn, to, reason=reason, summary=None if summary is None else cut(summary, MAX_SUMMARY_CHARS))


def _tag(turn: Turn, event: Event) -> None:
    tag: Tag = event.data
    if tag.priority is not None and tag.priority not in PRIORITIES:
        raise Refused("INVALID_COMMAND", f"unknown priority {tag.priority[:50]!r}; known: {', '.join(PRIORITIES)}")
    before = turn.conversation
    tags = dict.fromkeys(name for name in (*before.tags, *tag.add) if name not in tag.remove)
    attributes = {**before.attributes, **tag.attributes}
    if len(tags) > MAX_TAGS or any(len(name) > MAX_TAG_CHARS for name in tag.add):
        raise Refused("INVALID_COMMAND", f"more than {MAX_TAGS} tags, or one of more than {MAX_TAG_CHARS} characters")
    if len(msgspec.json.encode(attributes)) > MAX_ATTRIBUTE_BYTES:
        raise Refused("INVALID_COMMAND", f"attributes of more than {MAX_ATTRIBUTE_BYTES} bytes")
    turn.change(tags=tuple(tags), priority=tag.priority or before.priority, attributes=attributes)
    changed = [name for name in ("tags", "priority", "attributes") if getattr(before, name) != _now(turn, name)]
    if changed:
        turn.publish(
            "conversation.updated", ConversationUpdated(conversation=turn.conversation, changed=tuple(changed))
        )


def _now(turn: Turn, name: str) -> Any:
    return getattr(turn.conversation, name)


COMMANDS: dict[type[msgspec.Struct], Callable[[Turn, Event], None]] = {
    Reply: _reply,
    Note: _note,
    Resolve: _resolve,
    Reopen: _reopen,
    Transfer: _transfer,
    Tag: _tag,
}
