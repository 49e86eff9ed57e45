"""What the router remembers of a conversation: one entry, bounded, in MessagePack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from omnibus.model.content import Attachment, Email, Media, Text, text_of
from omnibus.model.entities import Author, ChannelIdentity, Conversation, Message
from omnibus.model.events import MessageDelivery

MAX_RECENT = 20
MAX_TEXT = 2_000
MAX_MESSAGE_BYTES = 16_000
MAX_SENT = 50
MAX_NATIVES = 100
MAX_EARLY = 20
MAX_ATTACHMENTS = 20

_RANK = {"received": 0, "queued": 1, "sent": 2, "failed": 3, "delivered": 4, "read": 5, "deleted": 6}


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A recent message, packed until somebody needs it."""

    id: str
    packed: msgspec.Raw


class Early(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A receipt whose message is not known yet: the provider was faster than the outcome of sending."""

    native_id: str
    event_id: str
    time: int
    packed: msgspec.Raw


class LastInbound(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a reply answers when it does not say."""

    message_id: str
    native_id: str | None = None
    mail: bool = False


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which of a rule's targets the conversation waits in."""

    rule: str
    index: int


class Clock(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One SLA clock. `used_ms` of open time had run up to `since_ms`; it stands still while `since_ms` is None.

    `ended_ms` is when what it waited for happened (`met` or `breached`), or could not happen any more (neither).
    """

    metric: str
    target_ms: int
    due_ms: int
    used_ms: int = 0
    since_ms: int | None = None
    warn_ms: int | None = None
    warned_ms: int | None = None
    breached: bool = False
    met: bool = False
    ended_ms: int | None = None


class Pace(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How fast messages come: how many since `since_ms`, the last at `last_ms`; `tripped` while the breaker is."""

    since_ms: int = 0
    count: int = 0
    last_ms: int = 0
    tripped: bool = False


class Asked(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A survey of this conversation: to be sent, or `sent_ms` ago. `agent` is who the answer is about."""

    id: str
    automation: str
    sent_ms: int | None = None
    agent: str | None = None
    expired: bool = False


class ConversationState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The router's entry of a conversation.

    `partition` is the raw partition whose task owns the thread; `convseq` the last number of the normalizer's events,
    `sequence` of ours. `sent` maps our messages to how far they came, `natives` the provider's ids to ours. `human`
    is set while a person has the conversation: automations keep silent. `accepted` says whether the controller has
    answered since it was given the conversation. `step` is set while a time-out for its target runs, `ageing` while
    waiting raises the priority. `clocks` are those of the queue `sla_queue`, whose timer is due at `sla_due_ms`.
    """

    conversation: Conversation
    partition: int | None = None
    convseq: int = 0
    sequence: int = 0
    activity_ms: int = 0
    recent: list[Kept] = []
    sent: dict[str, str] = {}
    natives: dict[str, str] = {}
    early: list[Early] = []
    sender: ChannelIdentity | None = None
    last_inbound: LastInbound | None = None
    human: bool = False
    accepted: bool = False
    step: Step | None = None
    clocks: list[Clock] = []
    sla_queue: str | None = None
    sla_due_ms: int | None = None
    ageing: bool = False
    pace: Pace | None = None
    survey: Asked | None = None


_pack = msgspec.msgpack.Encoder().encode
_unpack_state = msgspec.msgpack.Decoder(ConversationState).decode
_unpack_message = msgspec.msgpack.Decoder(Message).decode
_unpack_receipt = msgspec.msgpack.Decoder(MessageDelivery).decode


def packed(state: ConversationState) -> bytes:
    """The stored form."""
    return _pack(state)


def unpacked(data: bytes) -> ConversationState:
    """The entry of its stored form."""
    return _unpack_state(data)


def remember_message(state: ConversationState, message: Message) -> None:
    """Keep a message among the recent ones, its text cut; the oldest is forgotten."""
    kept = [entry for entry in state.recent if entry.id != message.id]
    kept.append(Kept(message.id, msgspec.Raw(_pack(shortened(message)))))
    state.recent = kept[-MAX_RECENT:]


def recent_messages(state: ConversationState) -> list[Message]:
    """The recent messages, oldest first."""
    return [_unpack_message(entry.packed) for entry in state.recent]


def change_message(state: ConversationState, message_id: str, change: Callable[[Message], Message]) -> None:
    """Apply a change to a recent message, if it is among them."""
    for index, entry in enumerate(state.recent):
        if entry.id == message_id:
            changed = shortened(change(_unpack_message(entry.packed)))
            state.recent[index] = Kept(message_id, msgspec.Raw(_pack(changed)))


def shortened(message: Message) -> Message:
    """The message as the state keeps it: enough to read on, not a second copy of everything."""
    short = msgspec.structs.replace(
        message,
        content=_short_content(message.content),
        attachments=message.attachments[:MAX_ATTACHMENTS],
        quoted=None,
        pii=(),
    )
    return short if len(_pack(short)) <= MAX_MESSAGE_BYTES else _gist(message)


def _gist(message: Message) -> Message:
    """Of a message that is large in an unusual way: who, when, and the beginning of its words."""
    author = message.author
    return Message(
        id=message.id,
        conversation_id=message.conversation_id,
        channel=message.channel,
        channel_account_id=message.channel_account_id,
        direction=message.direction,
        visibility=message.visibility,
        author=Author(type=author.type, id=author.id, display_name=cut(author.display_name or "", 100) or None),
        content=Text(text=cut(text_of(message.content))),
        status=message.status,
        created_at=message.created_at,
        received_at=message.received_at,
        native=message.native,
        auto_submitted=message.auto_submitted,
    )


def _short_content(content: Any) -> Any:
    match content:
        case Text() if len(content.text) > MAX_TEXT:
            return msgspec.structs.replace(content, text=cut(content.text))
        case Email():
            own = content.text_reply_only
            return msgspec.structs.replace(
                content,
                text=cut(content.text if own is None else own),
                text_reply_only=None if own is None else cut(own),
                headers={},
                references=content.references[-3:],
            )
        case Media() if content.caption is not None:
            return msgspec.structs.replace(content, caption=cut(content.caption))
        case _:
            return content


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """The text, with an ellipsis where it was too long."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def with_attachment(message: Message, attachment: Attachment) -> Message:
    """The message with that attachment's new state."""
    changed = tuple(attachment if known.id == attachment.id else known for known in message.attachments)
    return msgspec.structs.replace(message, attachments=changed)


# --- how far our messages came ------------------------------------------------------------------


def advances(state: ConversationState, message_id: str, status: str) -> bool:
    """Whether that status is news: what was read does not go back to delivered."""
    before = state.sent.get(message_id)
    return before is None or _RANK.get(status, 0) > _RANK.get(before, 0)


def note_sent(state: ConversationState, message_id: str, status: str) -> None:
    """Remember how far one of our messages came."""
    state.sent.pop(message_id, None)
    state.sent[message_id] = status
    _bound(state.sent, MAX_SENT)


def note_native(state: ConversationState, native_id: str, message_id: str) -> None:
    """Remember what the provider calls one of our messages."""
    state.natives[native_id] = message_id
    _bound(state.natives, MAX_NATIVES)


def _bound(entries: dict[str, str], limit: int) -> None:
    while len(entries) > limit:
        del entries[next(iter(entries))]


def keep_early(state: ConversationState, event_id: str, time: int, receipt: MessageDelivery) -> None:
    """Keep a receipt until its message is known; the oldest is given up."""
    assert receipt.native_id is not None
    state.early = [*state.early, Early(receipt.native_id, event_id, time, msgspec.Raw(_pack(receipt)))][-MAX_EARLY:]


def take_early(state: ConversationState, native_id: str) -> list[tuple[Early, MessageDelivery]]:
    """The kept receipts of a message, in order of arrival; they are kept no longer."""
    taken = [entry for entry in state.early if entry.native_id == native_id]
    if taken:
        state.early = [entry for entry in state.early if entry.native_id != native_id]
    return [(entry, _unpack_receipt(entry.packed)) for entry in taken]
