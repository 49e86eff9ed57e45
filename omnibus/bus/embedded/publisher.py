"""Appends from outside the stages: durable when it returns, refused when too much waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from omnibus.bus.embedded.catalog import Catalog
from omnibus.bus.embedded.limits import Limits
from omnibus.bus.embedded.schema import PARTITION_MASK
from omnibus.bus.embedded.txn import Batch, Txn
from omnibus.bus.embedded.writer import Writer
from omnibus.bus.port import Out, Position
from omnibus.errors import Fenced, InvalidPayload, Overloaded, PublishRejected

T = TypeVar("T")


class Quota:
    """How much may wait for a commit, all publishers of a process together."""

    def __init__(self, limits: Limits) -> None:
        self._records, self._bytes = limits.publish_records, limits.publish_bytes
        self._waiting_records = 0
        self._waiting_bytes = 0

    @contextmanager
    def taken(self, records: int, size: int) -> Iterator[None]:
        """Hold a share while the records wait; raises Overloaded when there is no room (one call alone always has)."""
        busy = self._waiting_records > 0
        if busy and (self._waiting_records + records > self._records or self._waiting_bytes + size > self._bytes):
            raise Overloaded(f"{self._waiting_records} records ({self._waiting_bytes} bytes) wait for the disk")
        self._waiting_records += records
        self._waiting_bytes += size
        try:
            yield
        finally:
            self._waiting_records -= records
            self._waiting_bytes -= size


class EmbeddedPublisher:
    """The `Publisher` of the embedded bus."""

    def __init__(self, name: str, writer: Writer, catalog: Catalog, quota: Quota) -> None:
        self.name = name
        self._writer = writer
        self._catalog = catalog
        self._quota = quota
        self._epochs: dict[str, int] = {}
        self._closed = False
        self._waiting: set[asyncio.Future[Any]] = set()

    async def publish(self, outs: Sequence[Out]) -> Sequence[Position]:
        self._refuse_when_closed()
        if not outs:
            return []
        batch = self._prepared(outs)
        with self._quota.taken(len(outs), batch.size):
            bases = await self._accepted(self._writer.run(lambda txn: txn.append(batch), durable=True, rows=batch.cost))
        return [
            Position(out.topic, tp & PARTITION_MASK, bases[tp] + index)
            for out, (tp, index) in zip(outs, batch.places, strict=True)
        ]

    async def publish_with_cursor(self, outs: Sequence[Out], source: str, cursor: bytes) -> None:
        self._refuse_when_closed()
        epoch = self._epochs.get(source)
        if epoch is None:
            raise PublishRejected(f"take over the source {source} with cursor() before publishing for it")
        batch = self._prepared(outs)

        def move_and_append(txn: Txn) -> None:
            moved = txn.connection.execute(
                "UPDATE cursor SET value=? WHERE source=? AND epoch=?", (cursor, source, epoch)
            )
            if moved.rowcount != 1:
                raise Fenced(f"the source {source} has been taken over by another instance")
            txn.append(batch)

        with self._quota.taken(len(outs), batch.size):
            await self._accepted(self._writer.run(move_and_append, durable=True, rows=batch.cost))

    async def cursor(self, source: str) -> bytes | None:
        self._refuse_when_closed()

        def take_over(txn: Txn) -> tuple[int, bytes | None]:
            row: tuple[int, bytes | None] = txn.connection.execute(
                "INSERT INTO cursor VALUES(?,1,NULL) ON CONFLICT(source) DO UPDATE SET epoch=epoch+1 "
                "RETURNING epoch, value",
                (source,),
            ).fetchone()
            return row

        self._epochs[source], value = await self._accepted(self._writer.run(take_over, durable=True))
        return value

    async def close(self) -> None:
        self._closed = True
        if self._waiting:
            await asyncio.wait(self._waiting)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise PublishRejected(f"the publisher {self.name} is closed")

    def _prepared(self, outs: Sequence[Out]) -> Batch:
        try:
            return self._catalog.prepare(outs)
        except InvalidPayload as error:
            raise PublishRejected(str(error)) from error

    async def _accepted(self, call: Awaitable[T]) -> T:
        """Wait for a write; `close` waits for it too."""
        waiting = asyncio.ensure_future(call)
        self._waiting.add(waiting)
        try:
            return await waiting
        finally:
            self._waiting.discard(waiting)
