"""A Bot API server on loopback that behaves as documented, and what receivers and senders are given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from connectors._ingress.tools import AccountTools
from connectors.telegram.channel import CHANNEL, TelegramSettings
from omnibus.blobs import FolderBlobs
from omnibus.bus.open import open_bus
from omnibus.bus.port import Bus
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.send import SenderTools
from omnibus.config.fields import Secret
from omnibus.http import Http
from omnibus.model.raw import RawEvent, decode_raw
from omnibus.testing.served import served

TOKEN = "7000000900:invented-token"


@dataclass
class Called:
    """A call that arrived: its parameters, and the files that came with it."""

    method: str
    params: dict[str, Any]
    files: dict[str, tuple[str | None, str | None, bytes]] = field(default_factory=dict)


class FakeBotApi:
    """`updates` are waiting; `answers` are given once each, by method, before the normal behaviour comes back."""

    def __init__(self) -> None:
        self.url = ""
        self.updates: list[dict[str, Any]] = []
        self.answers: dict[str, list[tuple[int, object]]] = {}
        self.files: dict[str, bytes] = {}
        self.calls: list[Called] = []
        self.webhook_is_set = False
        self._next_message_id = 9_000
        self._changed = asyncio.Condition()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64_000_000)
        app.router.add_post("/bot{token}/{method}", self._call)
        app.router.add_get("/file/bot{token}/{path:.+}", self._file)
        return app

    def called(self, method: str) -> list[Called]:
        return [call for call in self.calls if call.method == method]

    def offsets(self) -> list[int | None]:
        """What each poll asked for."""
        return [call.params.get("offset") for call in self.called("getUpdates")]

    def will_answer(self, method: str, *answers: tuple[int, object]) -> None:
        self.answers.setdefault(method, []).extend(answers)

    async def add(self, *updates: dict[str, Any]) -> None:
        async with self._changed:
            self.updates.extend(updates)
            self._changed.notify_all()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until a call makes it true."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(true)

    async def _call(self, request: web.Request) -> web.Response:
        if request.match_info["token"] != TOKEN:
            return web.json_response({"ok": False, "error_code": 401, "description": "Unauthorized"}, status=401)
        call = await _called(request)
        async with self._changed:
            self.calls.append(call)
            self._changed.notify_all()
        scripted = self.answers.get(call.method)
        if scripted:
            status, body = scripted.pop(0)
            text = body if isinstance(body, str) else json.dumps(body)
            return web.Response(status=status, text=text, content_type="application/json")
        result = await getattr(self, f"_{call.method}", self._send)(call)
        return web.json_response({"ok": True, "result": result})

    async def _send(self, call: Called) -> dict[str, Any]:
        self._next_message_id += 1
        return {"message_id": self._next_message_id, "chat": {"id": call.params["chat_id"]}, "date": 1767603600}

    async def _deleteWebhook(self, call: Called) -> bool:  # noqa: N802 - the Bot API's own name
        self.webhook_is_set = False
        return True

    async def _answerCallbackQuery(self, call: Called) -> bool:  # noqa: N802 - the Bot API's own name
        return True

    async def _getUpdates(self, call: Called) -> list[dict[str, Any]]:  # noqa: N802 - the Bot API's own name
        """An offset confirms what is before it, unless it lies in the future: then it is ignored."""
        offset = call.params.get("offset", 0)
        last = max((update["update_id"] for update in self.updates), default=offset)
        async with self._changed:
            if offset <= last + 10:
                self.updates = [update for update in self.updates if update["update_id"] >= offset]
            if call.params["timeout"] > 0:
                await self._changed.wait_for(lambda: bool(self.updates))
            return self.updates[: call.params["limit"]]

    async def _getFile(self, call: Called) -> dict[str, Any]:  # noqa: N802 - the Bot API's own name
        file_id = call.params["file_id"]
        return {"file_id": file_id, "file_path": f"documents/{file_id}.bin"}

    async def _file(self, request: web.Request) -> web.StreamResponse:
        data = self.files.get(request.match_info["path"])
        return web.Response(status=404) if data is None else web.Response(body=data)


async def _called(request: web.Request) -> Called:
    method = request.match_info["method"]
    if not request.content_type.startswith("multipart/"):
        return Called(method, await request.json())
    params: dict[str, Any] = {}
    files: dict[str, tuple[str | None, str | None, bytes]] = {}
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            files[name] = (value.filename, value.content_type, value.file.read())
        else:
            params[name] = value
    return Called(method, params, files)


@pytest.fixture
async def telegram() -> AsyncIterator[FakeBotApi]:
    api = FakeBotApi()
    async with served(api.app()) as api.url:
        yield api


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as client:
        yield client


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def account(telegram: FakeBotApi) -> Account:
    settings = TelegramSettings(bot_token=Secret(TOKEN), api_url=telegram.url)
    return Account(name="support-bot", channel=CHANNEL, settings=settings, inactivity=CHANNEL.inactivity)


@pytest.fixture
def sender_tools(account: Account, http: Http, blobs: FolderBlobs) -> SenderTools:
    return SenderTools(account=account, http=http, blobs=blobs, topics=Topics())


@pytest.fixture
async def bus(tmp_path: Path, blobs: FolderBlobs) -> AsyncIterator[Bus]:
    topics = Topics()
    bus = open_bus(f"embedded:{tmp_path / 'bus'}", topics, blobs)
    await bus.open()
    await bus.ensure_topics(topics.all_specs(partitions=2, channels=["telegram"], queues=[], automations=[]))
    yield bus
    await bus.close()


class Ingress:
    """Makes receiver tools as a starting process does, and reads what has been stored."""

    def __init__(self, account: Account, http: Http, blobs: FolderBlobs, bus: Bus) -> None:
        self.states: list[tuple[str, str]] = []
        self.topics = Topics()
        self._account = account
        self._http = http
        self._blobs = blobs
        self._bus = bus

    def tools(self, settings: TelegramSettings | None = None, made: type[AccountTools] = AccountTools) -> AccountTools:
        account = self._account
        if settings is not None:
            account = Account(name=account.name, channel=CHANNEL, settings=settings, inactivity=CHANNEL.inactivity)
        return made(
            account=account,
            http=self._http,
            blobs=self._blobs,
            bus=self._bus,
            topics=self.topics,
            publisher=self._bus.publisher("connectors"),
            tell=lambda _account, state, reason: self.states.append((state, reason)),
        )

    async def stored(self) -> Sequence[RawEvent]:
        """Every raw event on the bus, in the order it was received."""
        topic = self.topics.raw("telegram")
        records = [record for part in range(2) for record in await self._bus.read(topic, part, 0)]
        raws = [decode_raw(record.value or b"") for record in records]
        return sorted(raws, key=lambda raw: update_id(raw))


def update_id(raw: RawEvent) -> int:
    found: Mapping[str, int] = json.loads(raw.body)
    return found["update_id"]


@pytest.fixture
def ingress(account: Account, http: Http, blobs: FolderBlobs, bus: Bus) -> Ingress:
    return Ingress(account, http, blobs, bus)
