"""What a mapping yields: one raw event, said in our words, before any conversation is known.

A mapping knows the provider's ids only; the normalizer turns these into unified events with ours. Where a content
names an attachment (`Image.attachment_id`), it names its place in `Message.attachments`: ``"0"``, ``"1"`` ...
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from omnibus.chunks import Chunks
from omnibus.model.base import Attributes, AutoSubmitted, Direction, MessageStatus, Model, Timestamp, Verified
from omnibus.model.content import AttachmentRef, Content
from omnibus.model.entities import FailureReason, Quoted, Referral


class Party(Model, frozen=True, kw_only=True):
    """Somebody as the channel knows them. `normalized` is what equal people share (defaults to `value`)."""

    scheme: str
    value: str
    normalized: str | None = None
    display_name: str | None = None
    username: str | None = None
    locale: str | None = None
    verified: Verified = "none"
    is_bot: bool = False


class Media(Model, frozen=True, kw_only=True):
    """A file: its bytes when they came along, or a reference which the media worker resolves later.

    The bytes are `data`, or `chunks` where the file is large: it is then never held whole.
    """

    mime: str
    ref: AttachmentRef | None = None
    data: bytes | None = None
    chunks: Chunks | None = None
    file_name: str | None = None
    size: int | None = None
    content_id: str | None = None
    inline: bool = False


class Fragment(Model, frozen=True, kw_only=True):
    """One of the pieces in which a channel delivers a long message (SMS): the `number`-th of `total`, from 1.

    Pieces of one message have the same `key` within their thread (the provider's reference, which may come again
    later), and a native id each. The normalizer puts them together, in order of their numbers, as one message with
    the native id of its first piece.
    """

    key: str
    number: int
    total: int


class Event(Model, frozen=True, kw_only=True, tag_field="kind"):
    """Base of everything a mapping yields.

    `native_id` is the provider's id of this very event (None where it has none: a hash is used). `thread` is the
    native thread the event belongs to, equal to one of the channel's `threads(raw)`. `at` is the provider's time.
    """

    thread: str
    at: Timestamp
    native_id: str | None = None


class Message(Event, frozen=True, kw_only=True, tag="message"):
    """Somebody wrote. `direction` is outbound for an echo of what our side wrote outside Omnibus; `participants` then
    begin with the customer.

    Channels whose threads must be found (mail) give `links`: strong keys of the thread this message belongs to, best
    first; `names`: the keys under which later messages may find it; and `weak_link`: a key that only counts for the
    same sender within the channel's window. `own` marks what Omnibus itself sent (a loop): it is counted and dropped.
    With `fragment` its text is only a piece of what was written.

    Channels whose native ids are the sender's own invention (mail) give a `fingerprint`: messages with an equal native
    id are the same only where it is equal too. `mailbox` is where this copy of it came in: a copy that comes in
    elsewhere is told as a delivery of the same message.
    """

    sender: Party
    content: Content
    direction: Direction = "inbound"
    attachments: tuple[Media, ...] = ()
    html: bytes | None = None
    subject: str | None = None
    participants: tuple[Party, ...] = ()
    in_reply_to: str | None = None
    quoted: Quoted | None = None
    language: str | None = None
    auto_submitted: AutoSubmitted = "no"
    referral: Referral | None = None
    links: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    weak_link: str | None = None
    own: bool = False
    fragment: Fragment | None = None
    fingerprint: str | None = None
    mailbox: str | None = None
    attributes: Attributes = {}


class Edit(Event, frozen=True, kw_only=True, tag="edit"):
    """The message `target` now says `content`. A higher `revision` is newer."""

    target: str
    content: Content
    revision: int
    sender: Party | None = None
    attachments: tuple[Media, ...] = ()


class Deletion(Event, frozen=True, kw_only=True, tag="deletion"):
    """The message `target` was taken back."""

    target: str
    sender: Party | None = None


class Reaction(Event, frozen=True, kw_only=True, tag="reaction"):
    """A reaction put on the message `target`, or taken off."""

    target: str
    reaction: str
    removed: bool = False
    sender: Party | None = None


class Delivery(Event, frozen=True, kw_only=True, tag="delivery"):
    """A report of the provider on the message `target` that we sent. `links` find its thread as a Message's do.

    A provider that only says "everything until then" gives `up_to`, and no target. `attributes` are what else the
    provider reports of the message: what it cost, for example.
    """

    target: str = ""
    status: MessageStatus
    reason: FailureReason | None = None
    recipient: str | None = None
    up_to: Timestamp | None = None
    links: tuple[str, ...] = ()
    attributes: Attributes = {}


class CallEvent(Event, frozen=True, kw_only=True, tag="call"):
    """Something happened to a phone call: `verb` is of `call.*` (ringing, answered, ended, voicemail ...)."""

    call_id: str
    verb: str
    sender: Party
    direction: Direction = "inbound"
    duration_s: float | None = None
    recording_ref: str | None = None
    transcript_ref: str | None = None
    text: str | None = None
    reason: str | None = None


AnyEvent = Message | Edit | Deletion | Reaction | Delivery | CallEvent
EVENTS: tuple[type[Event], ...] = (Message, Edit, Deletion, Reaction, Delivery, CallEvent)

Instant = Annotated[datetime, Meta(tz=True)]


def to_json(events: list[AnyEvent]) -> bytes:
    """The fixture form of what a mapping yields (indented, stable)."""
    return msgspec.json.format(msgspec.json.encode(events, enc_hook=_joined), indent=2)


def _joined(chunks: Chunks) -> bytes:
    """Large files are written as all others are (under `chunks`)."""
    return b"".join(chunks)


def from_json(data: bytes) -> list[AnyEvent]:
    """Raises msgspec.ValidationError when the fixture is not of these events."""
    return msgspec.json.decode(data, type=list[AnyEvent])
