"""The frames of the web chat WebSocket; ``docs/reference/webchat-protocol.md`` describes them in prose.

Most are those of every live line (`connectors._shared.live.frames`); the web chat's own are how it says hello.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from connectors._shared.live.frames import (
    Choice,
    Entry,
    Frame,
    Key,
    Locale,
    OlderHistory,
    PersonTyping,
    Ping,
    Postback,
    Receipt,
    Say,
    Short,
    UnknownFrame,
    UserId,
    frame_reader,
)


class UserClaim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Who the embedding site says the visitor is; believed only with the right `hmac` of `user_id`."""

    user_id: UserId | None = None
    hmac: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None
    name: Short | None = None
    email: Short | None = None


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    """The first frame: who is there, and the last history entry they have."""

    token: Annotated[str, Meta(max_length=400)] | None = None
    user: UserClaim | None = None
    after: Key | None = None
    locale: Locale | None = None
    page: Annotated[str, Meta(max_length=500)] | None = None


ClientFrame = Hello | Say | Choice | Postback | Receipt | PersonTyping | OlderHistory | Ping

read_frame: Callable[[bytes], ClientFrame | UnknownFrame] = frame_reader(
    Hello, Say, Choice, Postback, Receipt, PersonTyping, OlderHistory, Ping
)
"""Raises InvalidPayload with the path that failed."""


class Look(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the account's settings say about the widget."""

    title: str
    greeting: str
    color: str
    max_text_chars: int
    max_file_size: int
    file_types: tuple[str, ...]


class Welcome(Frame, frozen=True, kw_only=True, tag="welcome"):
    """The answer to hello: who the visitor is, what they miss of the history, and how the widget looks.

    `token` proves the visitor next time (for embeds without cookies), `session` proves uploads of this thread.

    With `gap` there may be more between the last entry they have and the first one here: start the list afresh.
    """

    token: str
    session: str
    entries: tuple[Entry, ...]
    look: Look
    more: bool = False
    gap: bool = False
