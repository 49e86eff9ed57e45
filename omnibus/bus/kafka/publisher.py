"""Appends from outside the stages: durable when it returns, refused when too much waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from omnibus.bus.kafka.batches import Batch, Row, pack, row_size
from omnibus.bus.kafka.codes import BrokerRefused, Unanswered
from omnibus.bus.kafka.core import Core
from omnibus.bus.kafka.cursors import Cursors
from omnibus.bus.kafka.produce import Appends
from omnibus.bus.kafka.wire import Tp
from omnibus.bus.port import Out, Position
from omnibus.errors import Fenced, InvalidPayload, Overloaded, PublishRejected, PublishUnknown

T = TypeVar("T")


@dataclass
class _Call:
    """One call of `publish` that waits for its records."""

    rows: list[tuple[Tp, Row]]
    size: int
    done: asyncio.Future[list[Position]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class KafkaPublisher:
    """The `Publisher` on Kafka. Calls that wait at the same time travel together, one request at a time."""

    def __init__(self, name: str, core: Core, cursors: Cursors) -> None:
        self.name = name
        self._core = core
        self._cursors = cursors
        self._appends = Appends(core.wire, ("publish", name), core.limits)
        self._waiting: list[_Call] = []
        self._waiting_records = 0
        self._waiting_bytes = 0
        self._came = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._others: set[asyncio.Future[Any]] = set()
        self._taken: set[str] = set()
        self._closed = False

    async def publish(self, outs: Sequence[Out]) -> Sequence[Position]:
        self._refuse_when_closed()
        if not outs:
            return []
        rows = await self._prepared(outs)
        self._refuse_when_closed()
        call = _Call(rows, sum(row_size(row) for _, row in rows))
        self._reserve(call)
        self._waiting.append(call)
        self._came.set()
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_for_ever(), name=f"publisher {self.name}")
        return await call.done

    def _reserve(self, call: _Call) -> None:
        limits = self._core.limits
        busy = self._waiting_records > 0
        too_many = self._waiting_records + len(call.rows) > limits.publish_records
        if busy and (too_many or self._waiting_bytes + call.size > limits.publish_bytes):
            raise Overloaded(f"{self._waiting_records} records ({self._waiting_bytes} bytes) wait for the broker")
        self._waiting_records += len(call.rows)
        self._waiting_bytes += call.size

    async def _prepared(self, outs: Sequence[Out]) -> list[tuple[Tp, Row]]:
        try:
            await self._core.catalog.know({out.topic for out in outs})
            return self._core.catalog.prepare(outs)
        except InvalidPayload as error:
            raise PublishRejected(str(error)) from error
        except (Unanswered, BrokerRefused) as error:
            raise PublishRejected(f"the cluster cannot be asked: {error}") from error

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise PublishRejected(f"the publisher {self.name} is closed")

    # --- sending --------------------------------------------------------------------------------

    async def _send_for_ever(self) -> None:
        while self._waiting or not self._closed:
            self._came.clear()
            calls, self._waiting = self._waiting, []
            if calls:
                await self._send(calls)
            elif not self._closed:
                await self._came.wait()

    async def _send(self, calls: list[_Call]) -> None:
        try:
            batches = pack([row for call in calls for row in call.rows], self._core.limits.batch_bytes)
            outcome = await self._appends.append(batches)
            self._tell(calls, batches, outcome)
        except BaseException as error:
            for call in calls:
                if not call.done.done():
                    call.done.set_exception(PublishUnknown(f"sending failed: {error!r}"))
            raise
        finally:
            self._waiting_records -= sum(len(call.rows) for call in calls)
            self._waiting_bytes -= sum(call.size for call in calls)

    def _tell(self, calls: list[_Call], batches: list[Batch], outcome: dict[int, int | Exception]) -> None:
        """Every call learns where its records are. Packing kept the order, so the nth row of a partition is found."""
        places: dict[Tp, list[int | Exception]] = {}
        for n, batch in enumerate(batches):
            found = outcome[n]
            into = places.setdefault(batch.tp, [])
            into.extend(
                [found] * len(batch.rows) if isinstance(found, Exception) else range(found, found + len(batch.rows))
            )
        turns = {tp: iter(found) for tp, found in places.items()}
        for call in calls:
            results = [(tp, next(turns[tp])) for tp, _ in call.rows]
            if call.done.done():
                continue  # the caller gave up waiting
            errors = [result for _, result in results if isinstance(result, Exception)]
            if errors:
                call.done.set_exception(_failure(errors, len(results)))
                call.done.exception()  # told, even when nobody waits any more
            else:
                call.done.set_result([Position(*tp, at) for tp, at in results if isinstance(at, int)])

    # --- cursors --------------------------------------------------------------------------------

    async def cursor(self, source: str) -> bytes | None:
        self._refuse_when_closed()
        value = await self._accepted(self._cursors.take_over(self, source))
        self._taken.add(source)
        return value

    async def publish_with_cursor(self, outs: Sequence[Out], source: str, cursor: bytes) -> None:
        self._refuse_when_closed()
        if source not in self._taken:
            raise PublishRejected(f"take over the source {source} with cursor() before publishing for it")
        rows = await self._prepared(outs)
        try:
            await self._accepted(self._cursors.move(self, source, rows, cursor))
        except (Fenced, PublishUnknown):
            self._taken.discard(source)
            raise

    async def _accepted(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a write; `close` waits for it too."""
        waiting = asyncio.ensure_future(work)
        self._others.add(waiting)
        try:
            return await waiting
        finally:
            self._others.discard(waiting)

    async def close(self) -> None:
        self._closed = True
        self._came.set()
        waiting = [*self._others, *([self._sending] if self._sending is not None else [])]
        if waiting:
            await asyncio.wait(waiting)

    def abandon(self) -> None:
        """The deadline has passed: what is still on its way is told as unknown."""
        for task in (*self._others, self._sending):
            if task is not None:
                task.cancel()


def _failure(errors: list[Exception], records: int) -> Exception:
    if len(errors) == records and all(isinstance(error, BrokerRefused) for error in errors):
        return PublishRejected(str(errors[0]))
    return PublishUnknown(str(errors[0]))
