"""Cursors of pollers: kept in one compacted topic, moved in the transaction of the records they stand for."""

from __future__ import annotations

import asyncio

from omnibus import clock
from omnibus.bus.kafka.batches import Row, pack
from omnibus.bus.kafka.codes import BrokerRefused, Unanswered
from omnibus.bus.kafka.core import Core, state_spec
from omnibus.bus.kafka.fetch import fetch_once
from omnibus.bus.kafka.produce import Transactions
from omnibus.bus.kafka.wire import COMMITTED, EARLIEST, LATEST, UNCOMMITTED, Tp
from omnibus.errors import Fenced, PublishUnknown

NAME = "cursors"
_CHUNK = 4 * 1024 * 1024


class _Held:
    def __init__(self, holder: object, transactions: Transactions) -> None:
        self.holder = holder
        self.transactions = transactions
        self.lock = asyncio.Lock()


class Cursors:
    """The sources this process has taken over. An id of its own fences each: a newer instance elsewhere ends ours."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._held: dict[str, _Held] = {}
        self._ready = False

    @property
    def _tp(self) -> Tp:
        return (self._core.state_topic(NAME), 0)

    async def take_over(self, holder: object, source: str) -> bytes | None:
        """Fence every older instance of `source`, then read where it stands."""
        if not self._ready:
            await self._core.admin.ensure([state_spec(self._core.application, NAME, 1)])
            self._ready = True
        core = self._core
        lane = ("cursor", len(source) % core.limits.lanes)
        transactions = Transactions(core.wire, f"{core.application}.cursor.{source}", lane, core.limits)
        await transactions.fence()
        self._held[source] = _Held(holder, transactions)
        return await self._read(source.encode())

    async def _read(self, key: bytes) -> bytes | None:
        wire = self._core.wire
        at = (await wire.offsets([self._tp], EARLIEST))[self._tp]
        end = (await wire.offsets([self._tp], LATEST, UNCOMMITTED))[self._tp]
        value: bytes | None = None
        async with asyncio.timeout(self._core.limits.restore_timeout_s):
            while at < end:
                before = at
                batches = await fetch_once(wire, self._tp, at, COMMITTED, _CHUNK)
                for records, at in batches:  # noqa: B007  # where to read on from
                    value = next((record.value for record in reversed(records) if record.key == key), value)
                if before == at:
                    # Another source's transaction is open before the end; ours is settled, so what we look for is
                    # either read already or behind it.
                    await asyncio.sleep(0.01)
        return value

    async def move(self, holder: object, source: str, rows: list[tuple[Tp, Row]], cursor: bytes) -> None:
        """Raises Fenced when a newer instance has the source; PublishUnknown when the outcome is not known: take the
        source over again then, which settles and tells it."""
        held = self._held.get(source)
        if held is None or held.holder is not holder:
            raise Fenced(f"the source {source} has been taken over by another instance")
        moved: tuple[Tp, Row] = (self._tp, (clock.now_ms(), source.encode(), cursor, ()))
        async with held.lock:
            try:
                await held.transactions.commit(pack([*rows, moved], self._core.limits.batch_bytes))
            except Fenced:
                raise Fenced(f"the source {source} has been taken over by another instance") from None
            except (Unanswered, BrokerRefused) as error:
                await held.transactions.discard()
                raise PublishUnknown(f"moving the cursor of {source}: {error}") from error
