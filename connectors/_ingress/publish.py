"""From a raw event to bus records: one for each native thread in it, keyed so that one task owns the thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import structlog
from msgspec.structs import replace

from omnibus import clock
from omnibus.blobs import BlobStore, blob_uri
from omnibus.bus.port import Out
from omnibus.bus.topics import CLAIM_CHECK_BYTES, Topics
from omnibus.channel.declaration import Channel
from omnibus.errors import InvalidPayload
from omnibus.model.codec import rfc3339
from omnibus.model.raw import RAW_CONTENT_TYPE, RAW_TYPE, THREAD_HEADER, LargeRaw, RawEvent, encode_raw
from omnibus.telemetry import trace

COPIES_BYTES = 1024 * 1024
"""A request of many threads is copied for each of them up to this sum; beyond it the copies share one blob."""

_SOURCE = "/omnibus/connectors"

log = structlog.get_logger("omnibus.connectors")


async def records_of(raw: RawEvent, channel: Channel, topics: Topics, blobs: BlobStore) -> list[Out]:
    """The records that store `raw`, its large body already in the blob store.

    A body the channel cannot read is stored all the same, under the account alone: the normalizer dead-letters it with
    the reason, and a mended mapping can be run over it again. Raises TryAgain when the blob store cannot be reached.
    """
    threads = threads_of(raw, channel)
    if len(threads) == 1 and threads[0] is not None:
        raw = replace(raw, thread=threads[0])
    if len(raw.body) > CLAIM_CHECK_BYTES:
        large = LargeRaw(raw)
        uri = blob_uri(large)
        await blobs.put(uri, large)
        return [_referring(raw, channel, topics, thread, index, uri) for index, thread in enumerate(threads)]
    whole = encode_raw(raw)
    if len(whole) > CLAIM_CHECK_BYTES or len(whole) * len(threads) > COPIES_BYTES:
        uri = blob_uri(whole)
        await blobs.put(uri, whole)
        return [_referring(raw, channel, topics, thread, index, uri) for index, thread in enumerate(threads)]
    return [_carrying(raw, channel, topics, thread, index, whole) for index, thread in enumerate(threads)]


def threads_of(raw: RawEvent, channel: Channel) -> Sequence[str | None]:
    """The native threads in `raw`, each once; None alone when it has none or cannot be read."""
    try:
        threads = tuple(dict.fromkeys(channel.threads(raw)))
        "".join(threads).encode()  # a lone surrogate could not be written
        return threads or (None,)
    except InvalidPayload as error:
        log.info("raw.unreadable", channel=raw.channel, account=raw.account, raw_id=raw.id, path=error.path)
    except Exception as error:  # a bug in a mapping must not lose the request: it is stored, and replayed when mended
        log.warning("raw.threads_failed", channel=raw.channel, raw_id=raw.id, error=type(error).__name__)
    return (None,)


def key_of(scope: str, thread: str | None, channel: Channel) -> bytes:
    """The record key: account (or what it shares threads with) and native thread: one task is the only writer of it."""
    place = thread if thread is None or channel.together is None else channel.together(thread)
    return f"{scope}\0{place or ''}".encode("utf-8", "replace")


def source_of(channel: str, account: str) -> str:
    """The CloudEvents source of what an account receives or reports."""
    return f"{_SOURCE}/{channel}/{account}"


def _carrying(raw: RawEvent, channel: Channel, topics: Topics, thread: str | None, index: int, whole: bytes) -> Out:
    value = whole if thread == raw.thread else encode_raw(replace(raw, thread=thread))
    return Out(
        topic=topics.raw(raw.channel),
        key=key_of(raw.scope or raw.account, thread, channel),
        value=value,
        headers=_headers(raw, index),
        ts_ms=clock.to_ms(raw.received_at),
    )


def _referring(raw: RawEvent, channel: Channel, topics: Topics, thread: str | None, index: int, uri: str) -> Out:
    extra = [("ce_dataref", uri.encode())]
    if thread != raw.thread and thread is not None:
        extra.append((THREAD_HEADER, thread.encode("utf-8", "replace")))
    return Out(
        topic=topics.raw(raw.channel),
        key=key_of(raw.scope or raw.account, thread, channel),
        value=b"",
        headers=(*_headers(raw, index), *extra),
        ts_ms=clock.to_ms(raw.received_at),
    )


def _headers(raw: RawEvent, index: int) -> tuple[tuple[str, bytes], ...]:
    """Two copies of one request are two records: `ce_id` tells them apart, `RawEvent.id` holds them together."""
    return (
        *_fixed_headers(raw.channel, raw.account, raw.origin),
        ("ce_id", (f"{raw.id}.{index}" if index else raw.id).encode()),
        ("ce_time", rfc3339(clock.to_ms(raw.received_at))),
        (trace.HEADER, traceparent_of(raw.headers)),
    )


@lru_cache(maxsize=1_024)
def _fixed_headers(channel: str, account: str, origin: str) -> tuple[tuple[str, bytes], ...]:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", RAW_TYPE.encode()),
        ("ce_source", source_of(channel, account).encode()),
        ("ce_origin", origin.encode()),
        ("content-type", RAW_CONTENT_TYPE),
    )


def traceparent_of(headers: Iterable[tuple[str, str]]) -> bytes:
    """The caller's trace context where it is valid, else the beginning of a new trace."""
    given = next((value for name, value in headers if name == trace.HEADER), None)
    return str(trace.parse(given) or trace.start()).encode()
