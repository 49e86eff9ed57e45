"""The frames that every protocol over a live line shares, both ways."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from connectors._shared.live.limits import MAX_TEXT_CHARS
from omnibus.errors import InvalidPayload

MAX_FRAME_BYTES = 64 * 1024
MAX_FILES = 5

Id = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{8,64}$")]
"""Made by the sender of a message and never used twice: what makes a message that is sent again the same message."""
EntryId = Annotated[str, Meta(min_length=1, max_length=128)]
Short = Annotated[str, Meta(max_length=200)]
Words = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
Key = Annotated[str, Meta(pattern="^[0-9]{13}/[^\\x00]{1,128}$")]
"""Where an entry stands in its history: milliseconds since the epoch and the message id. Later entries sort later."""
Locale = Annotated[str, Meta(pattern="^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$")]
UserId = Annotated[str, Meta(min_length=1, max_length=128, pattern="^[^\\x00-\\x1f\\x7f]+$")]


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, gc=False):
    """Base of every frame."""


# --- from the person ------------------------------------------------------------------------------


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A file that this person uploaded before; `ticket` is our own proof of it."""

    uri: Annotated[str, Meta(pattern="^blob:sha256:[0-9a-f]{64}$")]
    name: Short
    mime: Annotated[str, Meta(max_length=100, pattern="^[a-z0-9.+-]+/[a-z0-9.+-]+$")]
    size: Annotated[int, Meta(ge=0)]
    ticket: Annotated[str, Meta(max_length=100)]


class Say(Frame, frozen=True, kw_only=True, tag="message"):
    """The person wrote, or sent files, or both."""

    id: Id
    text: Words = ""
    files: Annotated[tuple[UploadedFile, ...], Meta(max_length=MAX_FILES)] = ()
    in_reply_to: EntryId | None = None


class Choice(Frame, frozen=True, kw_only=True, tag="choice"):
    """The person pressed one of the buttons of the entry `in_reply_to`."""

    id: Id
    option_id: Annotated[str, Meta(min_length=1, max_length=200)]
    title: Short = ""
    in_reply_to: EntryId | None = None


class Postback(Frame, frozen=True, kw_only=True, tag="postback"):
    """Something beside the conversation sends a payload instead of words (a "start" button, for example)."""

    id: Id
    payload: Annotated[str, Meta(min_length=1, max_length=1_000)]
    title: Short = ""


class Place(Frame, frozen=True, kw_only=True, tag="location"):
    """The person shows where something is, in WGS 84 degrees."""

    id: Id
    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]
    name: Short = ""
    address: Short = ""
    in_reply_to: EntryId | None = None


class Receipt(Frame, frozen=True, kw_only=True, tag="receipt"):
    """Entries of our side reached the person (`delivered`) or were on the screen (`read`)."""

    ids: Annotated[tuple[EntryId, ...], Meta(min_length=1, max_length=50)]
    status: Literal["delivered", "read"]


class PersonTyping(Frame, frozen=True, kw_only=True, tag="typing"):
    """The person is writing, or stopped. Never stored."""

    on: bool = True


class OlderHistory(Frame, frozen=True, kw_only=True, tag="history"):
    """The person scrolls up: entries before that key, please."""

    before: Key
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class Ping(Frame, frozen=True, kw_only=True, tag="ping"):
    """Are you there? (A browser's script sees no WebSocket pings.)"""


class UnknownFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A frame of a newer client: stored as it is, so that a later mapping can read it."""

    type: Annotated[str, Meta(pattern="^[a-z_]{1,40}$")]
    id: Id


Said = Say | Choice | Postback | Place | UnknownFrame
"""Frames with an id of their own: what the person adds to the conversation."""
StoredFrame = Said | Receipt


class _Head(msgspec.Struct, frozen=True):
    type: str


_head = msgspec.json.Decoder(_Head)
_unknown = msgspec.json.Decoder(UnknownFrame)


def frame_reader(*kinds: type[Frame]) -> Callable[[bytes], Any]:
    """A reader of frames of these kinds, and of any other as an UnknownFrame.

    It raises InvalidPayload with the path that failed.
    """
    known = msgspec.json.Decoder(reduce(or_, kinds))
    tags = frozenset(str(kind.__struct_config__.tag) for kind in kinds)

    def read(data: bytes) -> Any:
        try:
            return known.decode(data) if _head.decode(data).type in tags else _unknown.decode(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            why, _, path = str(error).rpartition(" - at `")
            raise InvalidPayload(f"frame{path.strip('$`')}", why or str(error)) from error

    return read


# --- to the person --------------------------------------------------------------------------------


class ShownOption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A button. With `url` it opens a page instead of answering."""

    id: str
    title: str
    url: str | None = None


class ShownFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A file of an entry. In the history table `uri` says where it is; towards the person `url` does instead."""

    name: str
    mime: str
    size: int | None = None
    uri: str | None = None
    url: str | None = None


Author = Literal["visitor", "contact", "agent", "bot", "system"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One message as the person sees it, and as the history table keeps it.

    What the person wrote is of the `author` whom their protocol calls so: `visitor` in the web chat, `contact` in apps.
    """

    key: str
    id: str
    author: Author
    name: str | None = None
    text: str = ""
    options: tuple[ShownOption, ...] = ()
    files: tuple[ShownFile, ...] = ()
    in_reply_to: str | None = None

    @property
    def is_ours(self) -> bool:
        """Whether our side wrote it."""
        return self.author not in ("visitor", "contact")


class Push(Frame, frozen=True, kw_only=True, tag="message"):
    """An entry of this thread, whoever wrote it and on whichever device."""

    entry: Entry


class Ack(Frame, frozen=True, kw_only=True, tag="ack"):
    """The frame `id` is stored for good. `key` is where it stands in the history, for frames that are shown."""

    id: str
    key: str | None = None


class HistoryPage(Frame, frozen=True, kw_only=True, tag="history"):
    """Older entries, oldest first."""

    entries: tuple[Entry, ...]
    more: bool


class Typing(Frame, frozen=True, kw_only=True, tag="typing"):
    """Somebody of our side is writing, or stopped."""

    on: bool
    name: str | None = None


class Problem(Frame, frozen=True, kw_only=True, tag="error"):
    """A frame was not taken. With `after_ms` the same frame may be sent again then, without it never."""

    code: Literal[
        "invalid", "rate_limited", "too_long", "file_refused", "unavailable", "identity_refused", "hello_first"
    ]
    detail: str
    id: str | None = None
    after_ms: int | None = None


class Pong(Frame, frozen=True, kw_only=True, tag="pong"):
    """Here."""


_encoder = msgspec.json.Encoder()


def write_frame(frame: Frame) -> str:
    """The text of a frame."""
    return _encoder.encode(frame).decode()
