"""What a mail says about an event: pure, before anything is fetched or addressed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omnibus.model.codec import Event
from omnibus.model.content import Attachment, Email, Location, text_of
from omnibus.model.entities import ChannelIdentity, Message
from omnibus.model.events import (
    ConversationAssigned,
    MessageAttachment,
    MessageEdited,
    MessageReceived,
    MessageSent,
)


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to be: its subject, its words, and the files that belong to it."""

    subject: str
    text: str
    attachments: tuple[Attachment, ...] = ()


def letter_of(event: Event) -> Letter | None:
    """The letter for an event, None for kinds that become none."""
    write = _WRITERS.get(type(event.data))
    return None if write is None else write(event.data)


def _received(data: MessageReceived) -> Letter:
    return _of_message(data.message, data.sender)


def _sent(data: MessageSent) -> Letter:
    return _of_message(data.message, None)


def _of_message(message: Message, sender: ChannelIdentity | None) -> Letter:
    return Letter(subject=_subject(message), text=_paragraph(message, sender), attachments=message.attachments)


def _assigned(data: ConversationAssigned) -> Letter | None:
    """The conversation so far: all that its new owner needs to begin."""
    conversation, to = data.conversation, " ".join(part for part in (data.to.type, data.to.id) if part)
    opening = f"Conversation on {conversation.channel} ({conversation.channel_account_id}), now with {to}."
    people = {person.id: person for person in conversation.participants}
    sender = next(iter(people.values())) if len(people) == 1 else None
    recent = [_paragraph(message, sender if message.direction == "inbound" else None) for message in data.recent]
    named = next((_subject(message) for message in data.recent), None)
    return Letter(
        subject=conversation.subject or named or _fallback_subject(conversation.channel),
        text="\n\n".join(part for part in (opening, data.summary, *recent) if part),
        attachments=tuple(attachment for message in data.recent for attachment in message.attachments),
    )


def _edited(data: MessageEdited) -> Letter:
    who = _signature(data.author.display_name if data.author else None, "An earlier message was changed")
    return Letter(subject="Message changed", text=f"{who}. It now says:\n\n{words_of(data.content)}")


def _fetched(data: MessageAttachment) -> Letter | None:
    """The file that an earlier mail could only name; what could not be fetched is no news."""
    if data.attachment.state != "stored":
        return None
    return Letter(
        subject="Attachment", text="The attachment of an earlier message is here.", attachments=(data.attachment,)
    )


_WRITERS: dict[type, Callable[[Any], Letter | None]] = {
    MessageReceived: _received,
    MessageSent: _sent,
    MessageEdited: _edited,
    MessageAttachment: _fetched,
    ConversationAssigned: _assigned,
}


def _subject(message: Message) -> str:
    content = message.content
    return content.subject if isinstance(content, Email) and content.subject else _fallback_subject(message.channel)


def _fallback_subject(channel: str) -> str:
    return f"Conversation on {channel}"


def _paragraph(message: Message, sender: ChannelIdentity | None) -> str:
    note = " (internal note)" if message.visibility == "internal" else ""
    who = message.author.display_name or (_name_of(sender) if sender else None)
    when = f"{message.created_at:%Y-%m-%d %H:%M} UTC"
    head = f"{_signature(who, message.author.type)}, {message.channel}, {when}{note}:"
    return f"{head}\n\n{words_of(message.content)}"


def _signature(name: str | None, otherwise: str) -> str:
    return name or otherwise


def _name_of(identity: ChannelIdentity) -> str:
    return f"{identity.display_name} <{identity.value}>" if identity.display_name else identity.value


def words_of(content: Any) -> str:
    """The words of a content; its kind in brackets where it has none."""
    if isinstance(content, Location):
        name = content.name or content.address
        return f"{name + ' ' if name else ''}[{content.lat}, {content.lon}]"
    return text_of(content) or f"[{content.__struct_config__.tag}]"
