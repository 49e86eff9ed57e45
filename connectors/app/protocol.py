"""What devices and we say to each other; ``docs/reference/app-protocol.md`` describes it in prose.

Frames are those of every live line (`connectors._shared.live.frames`) and the app's own; REST has the same frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from connectors._shared.live.frames import (
    Ack,
    Choice,
    Entry,
    Frame,
    Id,
    Key,
    Locale,
    OlderHistory,
    PersonTyping,
    Ping,
    Place,
    Postback,
    Problem,
    Receipt,
    Say,
    Short,
    UnknownFrame,
    UserId,
    frame_reader,
)
from omnibus.model.base import Timestamp, known

MAX_BATCH = 100
MAX_TOKEN_CHARS = 8_192
MAX_PUSH_TOKEN_CHARS = 4_096

Platform = Annotated[str, known("ios", "android", "web", "other"), Meta(pattern="^[a-z0-9_]{1,20}$")]


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of what REST requests and answers hold."""


# --- registration ---------------------------------------------------------------------------------


class UserClaim(Body, frozen=True, kw_only=True):
    """Who the app says its user is; believed only with the right `hmac` of `id`. The rest is only said."""

    id: UserId
    hmac: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]
    name: Short | None = None
    email: Short | None = None


class Registration(Body, frozen=True, kw_only=True):
    """``POST /devices``: a device, and the proof of who uses it: `token` or `user`, as the account asks for."""

    device_id: Id
    token: Annotated[str, Meta(max_length=MAX_TOKEN_CHARS)] | None = None
    user: UserClaim | None = None
    platform: Platform = "other"
    push_token: Annotated[str, Meta(min_length=1, max_length=MAX_PUSH_TOKEN_CHARS)] | None = None
    app_version: Annotated[str, Meta(max_length=40)] | None = None
    locale: Locale | None = None


class Registered(Body, frozen=True, kw_only=True):
    """The device's `session`: shown with every request, and good until `expires_at`."""

    session: str
    expires_at: Timestamp
    user_id: str
    max_text_chars: int
    max_file_size: int
    file_types: tuple[str, ...]


# --- messages -------------------------------------------------------------------------------------


class Seen(Body, frozen=True, kw_only=True):
    """How far this person is, on whichever device: keys of the last entries delivered and read."""

    delivered: str = ""
    read: str = ""


class Missed(Body, frozen=True, kw_only=True):
    """``GET /messages``: entries, oldest first. Fields as those of `Welcome`."""

    entries: tuple[Entry, ...]
    more: bool = False
    gap: bool = False
    seen: Seen = Seen()


class Batch(Body, frozen=True, kw_only=True):
    """``POST /messages``: frames that waited on the device, in the order they were written."""

    messages: Annotated[tuple[msgspec.Raw, ...], Meta(min_length=1, max_length=MAX_BATCH)]


class Results(Body, frozen=True, kw_only=True):
    """The answers to the frames of a batch, in its order."""

    results: tuple[Ack | Problem, ...]


# --- frames ---------------------------------------------------------------------------------------


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    """The first frame: whose device it is, and the last history entry it has."""

    session: Annotated[str, Meta(max_length=4_000)]
    after: Key | None = None


class Written(Say, frozen=True, kw_only=True, tag="message"):
    """A message, with the time by the device's clock when it waited there. The clock is not trusted with the order."""

    written_at: Timestamp | None = None


class Welcome(Frame, frozen=True, kw_only=True, tag="welcome"):
    """The answer to hello: what the device misses of the history.

    With `gap` there may be more between the last entry it has and the first one here: start the list afresh.
    """

    entries: tuple[Entry, ...]
    more: bool = False
    gap: bool = False
    seen: Seen = Seen()


DeviceFrame = Hello | Written | Choice | Postback | Place | Receipt | PersonTyping | OlderHistory | Ping

read_frame: Callable[[bytes], DeviceFrame | UnknownFrame] = frame_reader(
    Hello, Written, Choice, Postback, Place, Receipt, PersonTyping, OlderHistory, Ping
)
"""Raises InvalidPayload with the path that failed."""


def body_of(value: Any) -> bytes:
    """The JSON of an answer."""
    return _encoder.encode(value)


_encoder = msgspec.json.Encoder()
