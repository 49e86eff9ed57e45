"""Mapped events become unified events: one small function for each kind of mapped event."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from normalizer.state import Thread
from normalizer.steps.attachments import PENDING_HEADER, attachments_of, content_of, pending
from normalizer.steps.conversation import continue_or_open
from normalizer.steps.copies import first_arrival, names_of, remember_arrival
from normalizer.steps.identity import introduce, resolve_identity
from normalizer.steps.language import detect_language
from normalizer.steps.loops import MARK, loop_suspected
from normalizer.steps.thread import place_of, register, remember_place, thread_of
from normalizer.work import Work
from omnibus import clock
from omnibus.channel.events import CallEvent, Deletion, Delivery, Edit, Event, Message, Party, Reaction
from omnibus.errors import InvalidPayload
from omnibus.model import entities, events, ids
from omnibus.model.content import Content, Email, Text, text_of
from omnibus.model.entities import Author, ChannelIdentity, DeliveryState, InReplyTo, Native
from omnibus.telemetry.metrics import current


def on_message(work: Work, mapped: Message) -> bool:
    """A message: deduplicated, threaded, identified, and emitted. False when it is a copy or our own."""
    remember_place(work, mapped)
    native = None if mapped.own else first_arrival(work, mapped, mapped.native_id or derived_native_id(mapped))
    if native is None:
        return False
    event_id = work.event_id(native, "message.received")
    message_id = ids.message_id(work.scope, native)
    sender = resolve_identity(work, mapped.sender)
    customer = _customer(work, mapped, sender)
    thread_key = thread_of(work, mapped, message_id, sender.id)
    thread = continue_or_open(work, mapped, message_id, native, thread_key, customer)
    introduce(work, thread, customer)
    message = _unified(work, mapped, message_id, native, thread, sender)
    _emit_message(work, thread, message, sender, event_id, "derived" if mapped.native_id is None else None)
    thread.last_at = max(thread.last_at, work.received_ms)
    work.state.keep_thread(work.scope, thread_key, thread)
    remember_arrival(work, mapped, event_id, thread_key)
    register(work, mapped, thread_key, thread.conversation_id, sender.id, names=names_of(mapped, native))
    return True


def _customer(work: Work, mapped: Message, sender: ChannelIdentity) -> ChannelIdentity:
    """Whose conversation it is: when our side wrote first, elsewhere, it is the one it wrote to."""
    if mapped.direction == "outbound" and mapped.participants:
        return resolve_identity(work, mapped.participants[0])
    return sender


def _emit_message(
    work: Work, thread: Thread, message: entities.Message, sender: ChannelIdentity, event_id: str, quality: str | None
) -> None:
    at_ms = clock.to_ms(message.created_at)
    headers = (PENDING_HEADER,) if pending(message.attachments) else ()
    if message.direction == "outbound":
        sent = events.MessageSent(message=message)
        work.emit(thread, "message.sent", event_id, sent, at_ms=at_ms, id_quality=quality, headers=headers)
    else:
        received = events.MessageReceived(message=message, sender=sender)
        work.emit(thread, "message.received", event_id, received, at_ms=at_ms, id_quality=quality, headers=headers)


def _unified(
    work: Work, mapped: Message, message_id: str, native: str, thread: Thread, sender: ChannelIdentity
) -> entities.Message:
    attachments = attachments_of(work, mapped, message_id)
    content = _bounded(content_of(work, mapped, attachments), work.policy.text_max_chars)
    attributes = dict(mapped.attributes)
    if mapped.native_id is not None and native != mapped.native_id:
        attributes["id_of_another"] = True
    if mapped.direction == "inbound" and loop_suspected(work, thread):
        attributes[MARK] = True
    reply_to = mapped.in_reply_to
    return entities.Message(
        id=message_id,
        conversation_id=thread.conversation_id,
        channel=work.raw.channel,
        channel_account_id=work.account.name,
        direction=mapped.direction,
        author=_author(mapped.sender, sender, mapped.direction),
        content=content,
        status="sent" if mapped.direction == "outbound" else "received",
        created_at=mapped.at,
        received_at=work.raw.received_at,
        native=Native(message_id=mapped.native_id, thread_id=mapped.thread or None, timestamp=mapped.at),
        attachments=attachments,
        in_reply_to=None
        if reply_to is None
        else InReplyTo(message_id=ids.message_id(work.scope, reply_to), native_id=reply_to),
        quoted=mapped.quoted,
        language=mapped.language or detect_language(text_of(content)),
        auto_submitted=mapped.auto_submitted,
        raw_ref=work.raw_ref,
        attributes=attributes,
    )


def _author(party: Party, identity: ChannelIdentity, direction: str) -> Author:
    if direction == "outbound":
        return Author(type="bot" if party.is_bot else "agent", display_name=party.display_name)
    kind = "bot" if party.is_bot else "contact"
    return Author(type=kind, id=ids.contact_id(identity.id), display_name=party.display_name)


def _bounded(content: Content, limit: int) -> Content:
    """Texts beyond the limit are cut; the raw event keeps all of them."""
    if isinstance(content, Text) and len(content.text) > limit:
        return msgspec.structs.replace(content, text=content.text[:limit])
    if isinstance(content, Email) and len(content.text) > limit:
        only = content.text_reply_only
        return msgspec.structs.replace(
            content, text=content.text[:limit], text_reply_only=None if only is None else only[:limit]
        )
    return content


def derived_native_id(mapped: Event) -> str:
    """For channels without ids: content, sender, thread and time; two equal messages at the same instant are one."""
    return "derived:" + hashlib.sha256(msgspec.json.encode(mapped)).hexdigest()


# --- what happens to messages that are already there ---------------------------------------------


def on_edit(work: Work, mapped: Edit) -> bool:
    """An edit; of a message we never saw it is the message itself, so that nothing is lost."""
    thread = work.state.thread(work.scope, mapped.thread)
    if thread is None:
        return _edit_as_message(work, mapped)
    event_id = work.event_id(mapped.target, "message.edited", mapped.revision)
    if not work.state.first_time(event_id):
        return False
    message_id = ids.message_id(work.scope, mapped.target)
    data = events.MessageEdited(
        message_id=message_id,
        conversation_id=thread.conversation_id,
        content=content_of(work, mapped, attachments_of(work, mapped, message_id)),
        revision=mapped.revision,
        edited_at=mapped.at,
        author=_known_author(work, mapped.sender),
    )
    _emit_change(work, thread, mapped, "message.edited", event_id, data)
    return True


def _edit_as_message(work: Work, mapped: Edit) -> bool:
    if mapped.sender is None:
        raise InvalidPayload("thread", f"edit of {mapped.target!r} in a thread that has no conversation")
    message = Message(
        thread=mapped.thread,
        at=mapped.at,
        native_id=mapped.target,
        sender=mapped.sender,
        content=mapped.content,
        attachments=mapped.attachments,
        attributes={"edited_before_seen": True},
    )
    return on_message(work, message)


def on_deletion(work: Work, mapped: Deletion) -> bool:
    """A message taken back."""
    thread = _thread_with_conversation(work, mapped, mapped.target)
    event_id = work.event_id(mapped.target, "message.deleted")
    if not work.state.first_time(event_id):
        return False
    data = events.MessageDeleted(
        message_id=ids.message_id(work.scope, mapped.target),
        conversation_id=thread.conversation_id,
        deleted_at=mapped.at,
        author=_known_author(work, mapped.sender),
    )
    _emit_change(work, thread, mapped, "message.deleted", event_id, data)
    return True


def on_reaction(work: Work, mapped: Reaction) -> bool | None:
    """A reaction put on or taken off. None for one to a message of no conversation: people react to anything, also to
    what was there before us, and there is nothing to mend in that."""
    thread = work.state.thread(work.scope, _thread_key(work, mapped))
    if thread is None:
        current().count("unplaced", work.raw.channel)
        return None
    action = "removed" if mapped.removed else "added"
    who = mapped.sender.value if mapped.sender is not None else ""
    revision = f"{who}\0{mapped.reaction}\0{action}\0{mapped.native_id or clock.to_ms(mapped.at)}"
    event_id = work.event_id(mapped.target, "message.reacted", revision)
    if not work.state.first_time(event_id):
        return False
    data = events.MessageReacted(
        message_id=ids.message_id(work.scope, mapped.target),
        conversation_id=thread.conversation_id,
        reaction=mapped.reaction,
        action=action,
        at=mapped.at,
        author=_known_author(work, mapped.sender),
    )
    _emit_change(work, thread, mapped, "message.reacted", event_id, data)
    return True


def on_delivery(work: Work, mapped: Delivery) -> bool:
    """A provider's report on a message we sent; the router knows which of ours has that native id."""
    thread = _thread_with_conversation(work, mapped, mapped.target)
    revision = f"{mapped.status}\0{mapped.recipient or ''}"
    # A report on everything until some time has no target: its thread and that time tell it from others.
    target = mapped.target or f"{mapped.thread}\0{mapped.up_to}"
    event_id = work.event_id(target, "message.delivery", revision)
    if not work.state.first_time(event_id):
        return False
    final = mapped.status in ("read", "failed")
    data = events.MessageDelivery(
        conversation_id=thread.conversation_id,
        native_id=mapped.target or None,
        recipient=mapped.recipient,
        delivery=DeliveryState(status=mapped.status, at=mapped.at, reason=mapped.reason, final=final),
        up_to=mapped.up_to,
        attributes=mapped.attributes,
    )
    _emit_change(work, thread, mapped, "message.delivery", event_id, data)
    return True


def on_call(work: Work, mapped: CallEvent) -> bool:
    """Something happened to a call; the first event of a thread's call opens its conversation."""
    native = mapped.native_id or f"{mapped.call_id}\0{mapped.verb}"
    event_id = work.event_id(native, f"call.{mapped.verb}")
    if not work.state.first_time(event_id):
        return False
    sender = resolve_identity(work, mapped.sender)
    opening = Message(thread=mapped.thread, at=mapped.at, sender=mapped.sender, content=Text(text=""))
    message_id = ids.message_id(work.scope, native)
    thread = continue_or_open(work, opening, message_id, native, mapped.thread, sender)
    introduce(work, thread, sender)
    data = events.CallChanged(
        conversation_id=thread.conversation_id,
        call_id=mapped.call_id,
        direction=mapped.direction,
        at=mapped.at,
        duration_s=mapped.duration_s,
        recording_ref=mapped.recording_ref,
        transcript_ref=mapped.transcript_ref,
        text=mapped.text,
        reason=mapped.reason,
    )
    _emit_change(work, thread, mapped, f"call.{mapped.verb}", event_id, data)
    return True


def _emit_change(work: Work, thread: Thread, mapped: Event, kind: str, event_id: str, data: Any) -> None:
    work.emit(thread, kind, event_id, data, at_ms=clock.to_ms(mapped.at))
    thread.last_at = max(thread.last_at, work.received_ms)
    work.state.keep_thread(work.scope, _thread_key(work, mapped), thread)


def _thread_key(work: Work, mapped: Event) -> str:
    """The thread a change belongs to; where threads are found by links, the target's own name leads to it."""
    if isinstance(mapped, Reaction):
        return place_of(work, mapped.target) or mapped.thread
    links = mapped.links if isinstance(mapped, Delivery) else ()
    for name in links:
        if (link := work.state.link(work.scope, name)) is not None:
            return link.thread
    return mapped.thread


def _thread_with_conversation(work: Work, mapped: Event, target: str) -> Thread:
    thread = work.state.thread(work.scope, _thread_key(work, mapped))
    if thread is None:
        raise InvalidPayload("thread", f"{type(mapped).__name__} of {target!r}, in a thread that has no conversation")
    return thread


def _known_author(work: Work, party: Party | None) -> Author | None:
    if party is None:
        return None
    return _author(party, resolve_identity(work, party), "inbound")
