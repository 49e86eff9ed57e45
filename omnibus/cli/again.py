"""Puts stored records back onto the bus, so that they are processed once more."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from omnibus.bus.port import Out
from omnibus.channel.registry import find
from omnibus.errors import InvalidPayload, Misconfigured, Overloaded, PublishUnknown
from omnibus.model.raw import RawEvent, decode_raw

if TYPE_CHECKING:
    from omnibus.blobs import BlobStore
    from omnibus.bus.port import Publisher, Record
    from omnibus.bus.topics import Topics

BATCH_RECORDS = 500
BATCH_BYTES = 8_000_000
TRIES = 10

RECORDS_OF = "connectors._ingress.publish:records_of"
"""How the front door stores a raw event; by name, because the kernel imports no connector."""


class Again:
    """Puts records back through a publisher, in batches; `records` and `requests` count what it has put back,
    or would have with `dry_run`.

    A raw event is put back as the request it was: split anew into the threads that today's mapping finds in it, under
    their keys. As it lies there it would only be right if the threads had been found when it came, and a request whose
    mapping failed was stored under its account alone, beside the tasks that own its threads. Ids are derived, so
    whatever was understood the first time is a copy and changes nothing.
    """

    def __init__(self, publisher: Publisher, topics: Topics, blobs: BlobStore, *, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        self.records = 0
        self.requests = 0
        self._publisher = publisher
        self._topics = topics
        self._blobs = blobs
        self._seen: set[bytes] = set()
        self._waiting: list[Out] = []
        self._bytes = 0

    async def put_back(self, record: Record) -> None:
        """The record as it lies in its topic."""
        raw = await self._raw(record)
        if raw is None:
            await self._add([_as_it_is(record)])
        elif self._is_new(raw):
            await self._add(await self._split(raw))

    async def finish(self) -> None:
        """Publish what waits; durable when it returns."""
        if self._waiting and not self.dry_run:
            await publish_patiently(self._publisher, self._waiting)
        self._waiting, self._bytes = [], 0

    async def _raw(self, record: Record) -> RawEvent | None:
        """The request behind a record, None for other records and for what cannot be read at all."""
        if not record.topic.startswith(self._topics.raw("")) or record.topic == self._topics.control:
            return None
        ref = record.header("ce_dataref")
        try:
            return decode_raw(record.value or b"" if ref is None else await self._blobs.get(ref.decode()))
        except InvalidPayload:
            return None

    def _is_new(self, raw: RawEvent) -> bool:
        """One request is stored once for each of its threads, and may have been replayed before."""
        mark = hashlib.blake2b(raw.id.encode(), digest_size=12).digest()
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True

    async def _split(self, raw: RawEvent) -> Sequence[Out]:
        outs = await _records_of()(
            replace(raw, thread=None, origin="replay"), find(raw.channel), self._topics, self._blobs
        )
        for out in outs:
            out.ts_ms = None  # as of now: with the time they came, retention might take it before the normalizer
        return outs

    async def _add(self, outs: Sequence[Out]) -> None:
        for out in outs:
            size = len(out.value or b"") + len(out.key or b"")
            if self._waiting and (len(self._waiting) >= BATCH_RECORDS or self._bytes + size > BATCH_BYTES):
                await self.finish()
            self._waiting.append(out)
            self._bytes += size
        self.records += len(outs)
        self.requests += 1


def _records_of() -> Callable[..., Awaitable[Sequence[Out]]]:
    module, _, name = RECORDS_OF.partition(":")
    found: Any = getattr(importlib.import_module(module), name)
    return cast("Callable[..., Awaitable[Sequence[Out]]]", found)


def _as_it_is(record: Record) -> Out:
    """Its partition is kept, because some topics are not partitioned by key."""
    return Out(record.topic, record.key, record.value, record.headers, record.partition)


async def publish_patiently(publisher: Publisher, outs: Sequence[Out]) -> None:
    """Publish, and again where that is safe: ids are the same, so a copy is recognised."""
    for _ in range(TRIES):
        try:
            await publisher.publish(outs)
        except Overloaded as error:
            await asyncio.sleep(error.after.total_seconds())
        except PublishUnknown:
            continue
        else:
            return
    raise Misconfigured("bus", "too busy to take more; try again when there is less to do")
