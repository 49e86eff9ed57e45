"""The names a condition may use, their types, and where their values come from.

Every name is a variable of its own, dot and all (`message.text`), so that the checker knows each one and an unknown
field is an error when the rules are loaded. A value is worked out only when a rule uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from cel_expr_python import cel

from omnibus import clock
from omnibus.model.base import Attributes, Scalar
from omnibus.model.content import Email, text_of
from omnibus.model.entities import ChannelIdentity, Conversation, Message
from router.around import NOTHING, Around
from router.rules.words import HumanWords, normalised

MAX_TEXT = 10_000
"""Characters of a text that conditions see: evaluation stays bounded whatever arrives."""
MAX_ITEMS = 64
_INPUT_CHARS = 200

Value = str | bool | int | datetime | list[str] | dict[str, str] | dict[str, bool] | dict[str, int]


def clean(text: str | None, limit: int = MAX_TEXT) -> str:
    """Text as the evaluator can take it: bounded, without NUL (it would cut the text) and lone surrogates."""
    if not text:
        return ""
    cut = text[:limit].replace("\0", "")
    return cut if cut.isascii() else cut.encode("utf-8", "ignore").decode()


def _strings(attributes: Attributes) -> dict[str, str]:
    return {clean(key, 200): clean(_word(value), 1_000) for key, value in list(attributes.items())[:MAX_ITEMS]}


def _word(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Facts:
    """What the rules look at: one message of one conversation, at one time."""

    def __init__(
        self,
        *,
        conversation: Conversation,
        message: Message | None,
        sender: ChannelIdentity | None,
        now_ms: int,
        words: HumanWords,
        origin: str = "live",
        around: Around = NOTHING,
    ) -> None:
        self.conversation = conversation
        self.message = message
        self.sender = sender or next(iter(conversation.participants), None)
        self.now_ms = now_ms
        self.origin = origin
        self.around = around
        self._words = words

    @cached_property
    def text(self) -> str:
        return "" if self.message is None else clean(text_of(self.message.content))

    @cached_property
    def asks_for_human(self) -> bool:
        return self._words.asks_for_human(self.text)

    @cached_property
    def subject(self) -> str:
        content = None if self.message is None else self.message.content
        return clean(content.subject if isinstance(content, Email) else self.conversation.subject, 1_000)

    @cached_property
    def message_language(self) -> str:
        own = None if self.message is None else self.message.language
        return clean(own or self.conversation.language)

    def value(self, name: str) -> Value:
        """The value of a declared variable."""
        return VARIABLES[name].read(self)

    def of_message(self, read: Callable[[Message], Any], absent: Any) -> Any:
        return absent if self.message is None else read(self.message)

    def of_sender(self, read: Callable[[ChannelIdentity], str | None]) -> str:
        return "" if self.sender is None else clean(read(self.sender), 1_000)


class Variable(msgspec.Struct, frozen=True):
    """A name of the condition language: its CEL type in words, what it means, how it is read."""

    type: str
    meaning: str
    read: Callable[[Facts], Value]


def _related(conversation: Conversation, kind: str) -> bool:
    return any(related.type == kind for related in conversation.related)


def _mimes(message: Message) -> list[str]:
    return [clean(attachment.mime, 200) for attachment in message.attachments[:MAX_ITEMS]]


VARIABLES: dict[str, Variable] = {
    "channel": Variable("string", "the medium (`email`, `webchat` ...)", lambda f: f.conversation.channel),
    "account": Variable("string", "the channel account's name", lambda f: f.conversation.channel_account_id),
    "origin": Variable("string", "`live`, `backfill`, `replay` or `synthetic`", lambda f: f.origin),
    "now": Variable("timestamp", "when the message is routed", lambda f: clock.from_ms(f.now_ms)),
    "calendar.open": Variable("map(string, bool)", "which calendars are open now", lambda f: f.around.open_calendars()),
    "queue.open": Variable(
        "map(string, bool)", "which queues are within their hours and not paused", lambda f: f.around.open_queues()
    ),
    "queue.load": Variable(
        "map(string, int)", "open conversations in each queue, over all partitions", lambda f: f.around.loads()
    ),
    "message.text": Variable("string", "what the message says, without quotations", lambda f: f.text),
    "message.subject": Variable("string", "the mail's or conversation's subject", lambda f: f.subject),
    "message.words": Variable(
        "list(string)",
        "the distinct words of the text, lower case, without accents",
        lambda f: sorted(set(normalised(f.text).split()))[: MAX_ITEMS * 16],
    ),
    "message.type": Variable(
        "string",
        "the content kind (`text`, `image`, `email` ...)",
        lambda f: f.of_message(lambda m: str(m.content.__struct_config__.tag), ""),
    ),
    "message.direction": Variable(
        "string", "`inbound` or `outbound`", lambda f: f.of_message(lambda m: m.direction, "inbound")
    ),
    "message.author": Variable(
        "string", "`contact`, `agent`, `bot` or `system`", lambda f: f.of_message(lambda m: m.author.type, "contact")
    ),
    "message.language": Variable("string", "BCP 47, '' when unknown", lambda f: f.message_language),
    "message.auto_submitted": Variable(
        "string",
        "`no`, `auto_reply`, `auto_generated`, `bulk` or `bounce`",
        lambda f: f.of_message(lambda m: m.auto_submitted, "no"),
    ),
    "message.asks_for_human": Variable(
        "bool", "asks for a person, in a language of the word lists", lambda f: f.asks_for_human
    ),
    "message.has_attachments": Variable(
        "bool", "files came with it", lambda f: f.of_message(lambda m: bool(m.attachments), False)
    ),
    "message.attachment_types": Variable("list(string)", "their MIME types", lambda f: f.of_message(_mimes, [])),
    "message.attributes": Variable(
        "map(string, string)", "the message's attributes", lambda f: f.of_message(lambda m: _strings(m.attributes), {})
    ),
    "conversation.id": Variable("string", "the conversation's id", lambda f: f.conversation.id),
    "conversation.subject": Variable(
        "string", "the conversation's subject", lambda f: clean(f.conversation.subject, 1_000)
    ),
    "conversation.status": Variable("string", "`new`, `open`, `resolved` ...", lambda f: f.conversation.status),
    "conversation.queue": Variable("string", "the queue it was in, or ''", lambda f: f.conversation.queue or ""),
    "conversation.priority": Variable("string", "`low` to `urgent`", lambda f: f.conversation.priority),
    "conversation.language": Variable("string", "BCP 47, '' when unknown", lambda f: f.conversation.language or ""),
    "conversation.intent": Variable("string", "what it is about, or ''", lambda f: clean(f.conversation.intent)),
    "conversation.tags": Variable(
        "list(string)", "its tags", lambda f: [clean(tag, 200) for tag in f.conversation.tags[:MAX_ITEMS]]
    ),
    "conversation.attributes": Variable(
        "map(string, string)", "its attributes", lambda f: _strings(f.conversation.attributes)
    ),
    "conversation.creation_reason": Variable(
        "string", "`message`, `call`, `form` ...", lambda f: f.conversation.creation_reason
    ),
    "conversation.is_follow_up": Variable(
        "bool", "an earlier conversation of the thread was closed", lambda f: _related(f.conversation, "follow_up")
    ),
    "conversation.reopen_count": Variable("int", "how often it was reopened", lambda f: f.conversation.reopen_count),
    "conversation.referral": Variable(
        "string",
        "where the person came from (`ad`, `link` ...), or ''",
        lambda f: clean(f.conversation.referral.source if f.conversation.referral else None),
    ),
    "contact.id": Variable("string", "the contact's id", lambda f: f.conversation.contact_id),
    "contact.last_queue": Variable(
        "string", "the queue of the contact's last conversation, or ''", lambda f: f.around.last_queue()
    ),
    "contact.name": Variable("string", "the name the channel shows", lambda f: f.of_sender(lambda s: s.display_name)),
    "contact.username": Variable("string", "the user name on the channel", lambda f: f.of_sender(lambda s: s.username)),
    "contact.address": Variable(
        "string", "the handle (mail address, number ...), normalised", lambda f: f.of_sender(lambda s: s.normalized)
    ),
    "contact.scheme": Variable("string", "the handle's kind (`email`, `e164` ...)", lambda f: f.of_sender(_scheme)),
    "contact.verified": Variable("string", "how it was proven", lambda f: f.of_sender(lambda s: s.verified)),
}


def _scheme(identity: ChannelIdentity) -> str:
    return identity.scheme


_TYPES = {
    "string": cel.Type.STRING,
    "bool": cel.Type.BOOL,
    "int": cel.Type.INT,
    "timestamp": cel.Type.TIMESTAMP,
    "list(string)": cel.Type.List(cel.Type.STRING),
    "map(string, string)": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    "map(string, bool)": cel.Type.Map(cel.Type.STRING, cel.Type.BOOL),
    "map(string, int)": cel.Type.Map(cel.Type.STRING, cel.Type.INT),
}
TYPES = {name: _TYPES[variable.type] for name, variable in VARIABLES.items()}


def as_input(value: Value) -> Scalar:
    """A value as a decision records it: scalar and short."""
    if isinstance(value, bool | int):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        value = [f"{key}={_word(item)}" for key, item in value.items()]
    text = value if isinstance(value, str) else ", ".join(value)
    return text if len(text) <= _INPUT_CHARS else text[: _INPUT_CHARS - 1] + "…"
