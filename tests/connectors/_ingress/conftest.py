"""A front door whose bus is a stand-in at our own seam, and one over the real embedded bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import ClientSession, web

from connectors._ingress.app import build_app
from connectors._ingress.endpoint import Endpoint
from connectors._ingress.limits import Gate, IngressLimits
from connectors._ingress.refusals import Refusals
from connectors._ingress.request import Proxies
from connectors._ingress.tools import AccountTools
from connectors.webhook.channel import CHANNEL
from connectors.webhook.settings import WebhookSettings
from omnibus.blobs import open_blobs
from omnibus.bus.port import Bus, Out, Position
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account, Channel
from omnibus.http import Http


@dataclass
class Desk:
    """A publisher that keeps what it is given, waits for `open`, and raises `failure`."""

    kept: list[Out] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None
    cursors: dict[str, bytes] = field(default_factory=dict)

    async def publish(self, outs: Sequence[Out]) -> Sequence[Position]:
        self.reached.set()
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        self.kept.extend(outs)
        return [Position(out.topic, 0, index) for index, out in enumerate(outs)]

    async def publish_with_cursor(self, outs: Sequence[Out], source: str, cursor: bytes) -> None:
        await self.publish(outs)
        self.cursors[source] = cursor

    async def cursor(self, source: str) -> bytes | None:
        return self.cursors.get(source)

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Front:
    """A served front door and what is behind it."""

    url: str
    desk: Desk
    client: ClientSession
    gate: Gate


ServeFront = Callable[..., AbstractAsyncContextManager[Front]]
ToolsFor = Callable[..., AccountTools]


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.open.set()
    return made


@pytest.fixture
async def tools_for(desk: Desk, tmp_path: Path) -> AsyncIterator[ToolsFor]:
    """Makes the tools of an account over the stand-in."""
    async with Http() as http:

        def make(channel: Channel = CHANNEL, settings: Any = None, name: str = "site", **more: Any) -> AccountTools:
            account = Account(
                name=name,
                channel=channel,
                settings=WebhookSettings() if settings is None else settings,
                inactivity=channel.inactivity,
            )
            given: dict[str, Any] = {"tell": lambda *_: None, "publisher": desk, **more}
            return AccountTools(
                account=account,
                http=http,
                blobs=open_blobs(f"file:{tmp_path / 'blobs'}"),
                bus=cast(Bus, None),
                topics=Topics(),
                **given,
            )

        yield make


@pytest.fixture
def front(desk: Desk, tools_for: ToolsFor) -> ServeFront:
    """Serves one webhook account, ``/in/site``."""

    @asynccontextmanager
    async def serve(
        settings: Any = None,
        *,
        channel: Channel = CHANNEL,
        limits: IngressLimits | None = None,
        proxies: Sequence[str] = (),
        pages: Sequence[web.AbstractRouteDef] = (),
    ) -> AsyncIterator[Front]:
        bounds = limits or IngressLimits()
        gate, tools = Gate(bounds), tools_for(channel, settings)
        webhook = channel.receive["webhook"]
        assert not isinstance(webhook, str)
        endpoint = Endpoint(webhook, tools, gate=gate, limits=bounds, proxies=Proxies(proxies), refusals=Refusals())
        runner = web.AppRunner(
            build_app({"site": endpoint}, {"site": pages} if pages else {}), access_log=None, auto_decompress=False
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            async with ClientSession() as client:
                yield Front(f"http://127.0.0.1:{runner.addresses[0][1]}", desk, client, gate)
        finally:
            desk.open.set()
            await runner.cleanup()

    return serve
