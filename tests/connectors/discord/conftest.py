"""A gateway on loopback that behaves as documented, and what the receiver is given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from connectors._ingress.tools import AccountTools
from connectors.discord.channel import DiscordSettings
from connectors.discord.gateway import DiscordGateway
from omnibus.blobs import FolderBlobs
from omnibus.bus.open import open_bus
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.registry import load_channel
from omnibus.config.fields import Secret
from omnibus.http import Http
from omnibus.model.raw import RawEvent, decode_raw
from omnibus.testing.door import account_of, records_in
from omnibus.testing.served import served

TOKEN = "invented-bot-token"
BOT = "1300000000000000900"
QUIET = 600_000.0
"""Milliseconds between heartbeats where they do not matter."""


class FakeDiscord:
    """One session at a time, whose events are kept: `away` ones are told when the client comes back."""

    def __init__(self) -> None:
        self.url = ""
        self.heartbeat_ms = QUIET
        self.acknowledges = True
        self.sessions_left = 10
        self.lets_in = True
        self.session = ""
        self.events: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []
        self.called: list[tuple[str, Any]] = []
        self.closed_with: list[int | None] = []
        self.first_words: list[str] = []
        """Sent instead of a greeting, once each."""
        self._socket: web.WebSocketResponse | None = None
        self._count = 0
        self._changed = asyncio.Condition()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/gateway/bot", self._find)
        app.router.add_post("/api/interactions/{id}/{token}/callback", self._callback)
        app.router.add_get("/ws/", self._serve)
        app.router.add_get("/resume/", self._serve)
        return app

    def said(self, op: int) -> list[Any]:
        """What the client sent with that opcode."""
        return [frame["d"] for frame in self.heard if frame["op"] == op]

    async def tell(self, t: str, d: Any) -> None:
        """Something happens."""
        frame = {"op": 0, "t": t, "s": len(self.events) + 1, "d": d}
        self.events.append(frame)
        if self._socket is not None:
            await self._socket.send_str(json.dumps(frame))

    async def send(self, frame: dict[str, Any] | str) -> None:
        assert self._socket is not None
        await self._socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def close(self, code: int) -> None:
        assert self._socket is not None
        await self._socket.close(code=code)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something the client does makes it true."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(true)

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _find(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bot {TOKEN}":
            return web.json_response({"message": "401: Unauthorized", "code": 0}, status=401)
        limit = {"total": 1000, "remaining": self.sessions_left, "reset_after": 14_400_000, "max_concurrency": 1}
        return web.json_response(
            {"url": self.url.replace("http", "ws") + "/ws", "shards": 1, "session_start_limit": limit}
        )

    async def _callback(self, request: web.Request) -> web.Response:
        self.called.append((request.match_info["id"], await request.json()))
        await self._note()
        return web.Response(status=204)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        assert request.query["v"] == "10"
        socket = web.WebSocketResponse(autoclose=True)
        await socket.prepare(request)
        self._socket = socket
        greeting = json.dumps({"op": 10, "d": {"heartbeat_interval": self.heartbeat_ms}})
        await socket.send_str(self.first_words.pop(0) if self.first_words else greeting)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._on(socket, json.loads(message.data), request.path)
        self.closed_with.append(socket.close_code)
        if self._socket is socket:
            self._socket = None
        await self._note()
        return socket

    async def _on(self, socket: web.WebSocketResponse, frame: dict[str, Any], path: str) -> None:
        match frame["op"]:
            case 1 if self.acknowledges:
                await socket.send_str('{"op": 11}')
            case 2 if not self.lets_in:
                await socket.send_str('{"op": 7, "d": null}')
            case 2:
                await self._begin()
            case 6:
                await self._resume(socket, frame["d"], path)
        self.heard.append(frame)
        await self._note()

    async def _begin(self) -> None:
        self._count += 1
        self.session, self.events = f"session-{self._count}", []
        user = {"id": BOT, "username": "support", "bot": True}
        url = self.url.replace("http", "ws") + "/resume"
        await self.tell("READY", {"v": 10, "session_id": self.session, "resume_gateway_url": url, "user": user})

    async def _resume(self, socket: web.WebSocketResponse, asked: dict[str, Any], path: str) -> None:
        assert path == "/resume/", "sessions go on where Discord says"
        if asked["session_id"] != self.session:
            await socket.send_str('{"op": 9, "d": false}')
            return
        for event in self.events[asked["seq"] :]:
            await socket.send_str(json.dumps(event))
        await self.tell("RESUMED", {})


class Desk:
    """Makes receivers as a starting process does, and reads what has been stored."""

    def __init__(self, account: Account, http: Http, folder: Path) -> None:
        self.states: list[tuple[str, str]] = []
        self.naps: list[float] = []
        self._account = account
        self._http = http
        self._topics = Topics()
        self._blobs = FolderBlobs(folder / "blobs")
        self.bus = open_bus(f"embedded:{folder / 'bus'}", self._topics, self._blobs)

    async def open(self) -> None:
        await self.bus.open()
        specs = self._topics.all_specs(partitions=2, channels=["discord"], queues=[], automations=[])
        await self.bus.ensure_topics(specs)

    def gateway(self) -> DiscordGateway:
        tools = AccountTools(
            account=self._account,
            http=self._http,
            blobs=self._blobs,
            bus=self.bus,
            topics=self._topics,
            publisher=self.bus.publisher("connectors"),
            tell=lambda _account, state, reason: self.states.append((state, reason)),
        )
        return DiscordGateway(tools, sleep=self._nap, jitter=lambda: 0.5)

    async def _nap(self, seconds: float) -> None:
        """Short naps are taken, long ones (before a reconnect) only noted."""
        self.naps.append(seconds)
        await asyncio.sleep(seconds if seconds < 0.2 or seconds > 60 else 0)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.Task[None]]:
        """A receiver that runs; it is cancelled at the end, as by a stop of the process."""
        task = asyncio.create_task(self.gateway().run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def stored(self, count: int) -> Sequence[RawEvent]:
        """The raw events on the bus, once so many are there."""
        async with asyncio.timeout(30):
            while True:
                records = await records_in(self.bus, self._topics.raw("discord"))
                if len(records) >= count:
                    return sorted((decode_raw(each.value or b"") for each in records), key=number_of)
                await asyncio.sleep(0.01)


def number_of(raw: RawEvent) -> tuple[str, int]:
    return raw.attributes["session"], json.loads(raw.body)["s"]


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    fake = FakeDiscord()
    async with served(fake.app()) as fake.url:
        yield fake


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as client:
        yield client


@pytest.fixture
async def desk(discord: FakeDiscord, http: Http, tmp_path: Path) -> AsyncIterator[Desk]:
    settings = DiscordSettings(bot_token=Secret(TOKEN), api_url=f"{discord.url}/api")
    made = Desk(account_of(load_channel("connectors.discord"), settings, "guild-bot"), http, tmp_path)
    await made.open()
    yield made
    await made.bus.close()
