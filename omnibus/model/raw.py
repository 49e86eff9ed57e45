"""The raw event: what a provider sent, byte for byte, before anything has parsed it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec.structs import replace

from omnibus.bus.port import Record
from omnibus.errors import InvalidPayload
from omnibus.model.base import Model, Timestamp, known

RAW_TYPE = "omnibus.raw.received.v1"
RAW_CONTENT_TYPE = b"application/vnd.omnibus.raw+msgpack"
THREAD_HEADER = "ce_thread"
"""Names the thread of a record whose large body is one blob, shared by the records of all its threads."""


class RawEvent(Model, frozen=True, kw_only=True):
    """One request, mail, update or frame of a provider.

    `headers` have lower-case names, in order, with secrets masked. `verified` says how the sender was proven when it
    was received; a mapping trusts it and never checks again. `thread` is the native thread this copy of the request
    is for: a request that holds several threads is stored once for each, so that one partition's task is the only
    writer of each thread; None means the whole account. `scope` is what threads and ids are unique in where that is
    more than the account (`Channel.scope`); None means the account alone.
    """

    id: str
    channel: str
    account: str
    received_at: Timestamp
    body: bytes
    transport: Annotated[str, known("webhook", "poll", "socket", "smtp", "imap", "api")] = "webhook"
    method: str | None = None
    path: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    verified: Annotated[str, known("none", "token", "hmac", "jwt", "signature", "transport")] = "none"
    origin: Annotated[str, known("live", "backfill", "replay", "synthetic")] = "live"
    thread: str | None = None
    scope: str | None = None
    remote: str | None = None
    attributes: dict[str, str] = {}

    def header(self, name: str) -> str | None:
        """The first header of that (lower-case) name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


# MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md): a field's name, and an empty or a large `bin`.
_BODY = b"\xa4body\xc6"
_NO_BODY = b"\xa4body\xc4\x00"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RawEvent)


def encode_raw(raw: RawEvent) -> bytes:
    """The stored form (MessagePack, so that the body stays the provider's bytes)."""
    return _encoder.encode(raw)


class LargeRaw:
    """The stored form of a raw event whose body is too large to be copied: its pieces, the body as it is between them.

    Joined they are what `encode_raw` gives.
    """

    def __init__(self, raw: RawEvent) -> None:
        # The fields before the body are ours, and none of them holds its name and an empty value.
        head, mark, tail = encode_raw(replace(raw, body=b"")).partition(_NO_BODY)
        if not mark or len(raw.body) < 2**16:
            self._pieces = [encode_raw(raw)]
        else:
            self._pieces = [head + _BODY + len(raw.body).to_bytes(4, "big"), raw.body, tail]
        self.size = sum(map(len, self._pieces))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def decode_raw(data: bytes) -> RawEvent:
    """Raises InvalidPayload when `data` is not a raw event."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise InvalidPayload("raw", str(error)) from error


def raw_of(record: Record, body: bytes) -> RawEvent:
    """The raw event of a record; `body` is its value, or the blob its ``ce_dataref`` names (`Ctx.body`).

    Raises InvalidPayload when it is none.
    """
    raw = decode_raw(body)
    thread = record.header(THREAD_HEADER)
    return raw if thread is None else replace(raw, thread=thread.decode("utf-8", "replace"))
