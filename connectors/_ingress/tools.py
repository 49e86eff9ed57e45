"""What a receiver may use, for one account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from connectors._ingress.publish import records_of
from omnibus.blobs import BlobStore
from omnibus.bus.port import Bus, Out, Publisher
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.http import Http
from omnibus.model.raw import RawEvent
from omnibus.telemetry import metrics

State = Literal["ok", "degraded", "disconnected"]


@dataclass(frozen=True, kw_only=True)
class AccountTools:
    """`omnibus.channel.receive.ReceiverTools` for one account. `tell` is called with each state a receiver reports."""

    account: Account
    http: Http
    blobs: BlobStore
    bus: Bus
    topics: Topics
    publisher: Publisher
    tell: Callable[[Account, State, str], None]

    async def publish(self, raws: Sequence[RawEvent], also: Sequence[Out] = ()) -> None:
        await self.publisher.publish([*await self._records(raws), *also])
        self._accepted(raws)

    async def publish_with_cursor(self, raws: Sequence[RawEvent], cursor: bytes) -> None:
        await self.publisher.publish_with_cursor(await self._records(raws), self._cursor_name, cursor)
        self._accepted(raws)

    async def cursor(self) -> bytes | None:
        return await self.publisher.cursor(self._cursor_name)

    def status(self, state: State, reason: str = "") -> None:
        self.tell(self.account, state, reason)

    async def _records(self, raws: Sequence[RawEvent]) -> list[Out]:
        channel = self.account.channel
        if channel.scope is not None:  # stored with the event: a replay finds its threads where they were
            raws = [replace(raw, scope=self.account.scope) for raw in raws]
        return [out for raw in raws for out in await records_of(raw, channel, self.topics, self.blobs)]

    def _accepted(self, raws: Sequence[RawEvent]) -> None:
        counters, name = metrics.current(), self.account.channel.name
        if raws and raws[0].transport != "webhook":  # the front door counts its requests when they come
            counters.count("received", name, self.account.name, by=len(raws))
        counters.count("accepted", name, self.account.name, by=len(raws))

    @property
    def _cursor_name(self) -> str:
        return f"{self.account.channel.name}/{self.account.name}"
