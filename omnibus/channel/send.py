"""The sender and media contracts: how a message leaves, and how a reference becomes bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from omnibus.bus.port import Out
from omnibus.model.base import MessageStatus
from omnibus.model.content import AttachmentRef
from omnibus.model.events import Outbound

if TYPE_CHECKING:
    from omnibus.blobs import BlobStore
    from omnibus.bus.topics import Topics
    from omnibus.channel.declaration import Account
    from omnibus.http import Http


class SenderTools(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender or media part may use."""

    account: Account
    http: Http
    blobs: BlobStore
    topics: Topics


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """The channel took the message. `native_ids` are the provider's ids of it (several when it was split).

    `also` is written in the transaction that records the delivery (a chat history, for example).
    """

    native_ids: tuple[str, ...]
    status: MessageStatus = "sent"
    also: tuple[Out, ...] = ()


class Sender(Protocol):
    """A sender class: ``Sender(tools)``, one instance for each account, used for many messages, one at a time for each
    conversation. Capabilities were checked before; `send` raises by recovery: TryAgain, Refused, RecipientGone,
    Misconfigured. A send that is repeated must carry the same idempotency key (`outbound.message.id`) where the
    provider knows such a thing.
    """

    async def send(self, outbound: Outbound) -> Sent: ...

    async def close(self) -> None: ...


class Probing(Protocol):
    """What a sender (or a sink's destination) may have besides: a question to the other side whether it would take
    something from us, for ``omnibus check --live``.

    `probe` logs in, or calls what the provider has for that, and returns a few words on what it found ("@acme_bot")
    or None. It sends nothing to anybody, changes nothing, is called once on an instance made for it, has 15 seconds,
    and raises by recovery as `send` does: Misconfigured names the setting to put right.
    """

    async def probe(self) -> str | None: ...


class MediaContent(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes behind a reference, as they stream in."""

    chunks: AsyncIterator[bytes]
    mime: str | None = None
    file_name: str | None = None


class MediaPart(Protocol):
    """A media class: ``Media(tools)``; `fetch` raises TryAgain, Refused("MEDIA_NOT_REACHABLE", ...) when expired."""

    async def fetch(self, ref: AttachmentRef) -> MediaContent: ...


def split_text(text: str, limit: int) -> Sequence[str]:
    """`text` in pieces of at most `limit` characters, cut at paragraphs, lines, sentences or words where they allow."""
    pieces: list[str] = []
    rest = text
    while len(rest) > limit:
        cut = _natural_cut(rest, limit)
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if rest or not pieces:
        pieces.append(rest)
    return pieces


def _natural_cut(text: str, limit: int) -> int:
    head = text[:limit]
    for mark in ("\n\n", "\n", ". ", "? ", "! ", "。", " "):
        at = head.rfind(mark)
        if at >= limit // 2:
            return at + len(mark)
    return limit
