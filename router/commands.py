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
    Message,
)
from omnibus.model.events import (
    ConversationResolved,
    ConversationUpdated,
    MessageDelivery,
    MessageSent,
    Note,
    Reopen,
    Reply,
    Resolve,
    SinkResult,
    Tag,
    Transfer,
)
from router import control, outbox, survey
from router.control import MAX_TAGS
from router.rules.rule import PRIORITIES
from router.state import cut, recent_messages, remember_message
from router.status import CLOSED, reopen
from router.surroundings import queue_instead_of
from router.turn import Turn

ROUTER_SINK = "router"
MAX_COMMAND_BYTES = 300_000
"""What a command makes must fit into a record together with the conversation."""
MAX_TAG_CHARS = 100
MAX_ATTRIBUTE_BYTES = 4_096
MAX_REASON_CHARS = 500
MAX_SUMMARY_CHARS = 10_000


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
    outbox.check(turn, reply)
    if reply.author.type == "agent":
        control.person_takes_over(turn, reply.author.id)
    else:
        control.accept(turn)
    outbox.send(turn, reply, event.id)


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
    survey.plan_survey(turn)


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
    if kind == "automation" and turn.state.pace is not None and turn.state.pace.tripped:
        raise Refused("RATE_LIMITED", "too many messages: automations keep out of it until it is quiet")
    if kind == "queue" and transfer.author.type == "bot":
        name = queue_instead_of(turn, name)
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
