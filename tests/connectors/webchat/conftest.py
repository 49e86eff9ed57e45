"""An installation with web chats: the real front door, the real embedded bus, and widgets made of sockets."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from connectors._ingress.service import ConnectorsService
from connectors.webchat.send import WebchatSender
from connectors.webchat.settings import WebchatSettings
from omnibus import clock
from omnibus.blobs import BlobStore, open_blobs
from omnibus.bus.open import open_bus
from omnibus.bus.port import Bus, Record
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.registry import load_channel
from omnibus.channel.send import SenderTools, Sent
from omnibus.config.fields import Secret
from omnibus.config.model import Config, Core, HttpSettings
from omnibus.http import Http
from omnibus.model import content as c
from omnibus.model.content import Attachment
from omnibus.model.entities import Author, ChannelIdentity, Conversation, Message
from omnibus.model.events import Outbound
from omnibus.model.raw import RawEvent, decode_raw
from omnibus.runtime import Runtime

DEADLINE_S = 30.0
IDENTITY_SECRET = "invented-identity-secret"
TYPING_TOKEN = "invented-typing-token"


def chat_settings(**changed: Any) -> WebchatSettings:
    """Settings of a test account."""
    given: dict[str, Any] = {
        "cookie_secret": Secret("invented-cookie-secret"),
        "identity_secret": Secret(IDENTITY_SECRET),
        "typing_token": Secret(TYPING_TOKEN),
        "allowed_origins": ("https://shop.example.com",),
    }
    return WebchatSettings(**(given | changed))


def user_hmac(user_id: str) -> str:
    """What the embedding site's server computes."""
    return hmac.new(IDENTITY_SECRET.encode(), user_id.encode(), hashlib.sha256).hexdigest()


class Widget:
    """The browser's side of a chat, by hand."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.welcome: dict[str, Any] = {}
        self._passed_over: list[dict[str, Any]] = []

    async def send(self, frame: dict[str, Any]) -> None:
        await self.socket.send_str(orjson.dumps(frame).decode())

    async def next(self) -> dict[str, Any]:
        """The next frame; fails when the chat is closed instead."""
        message = await self.socket.receive(timeout=DEADLINE_S)
        assert message.type is aiohttp.WSMsgType.TEXT, f"closed with {self.socket.close_code}"
        frame: dict[str, Any] = orjson.loads(message.data)
        return frame

    async def until(self, kind: str) -> dict[str, Any]:
        """The first frame of that type not yet asked for; others stay for later."""
        for frame in self._passed_over:
            if frame["type"] == kind:
                self._passed_over.remove(frame)
                return frame
        while (frame := await self.next())["type"] != kind:
            self._passed_over.append(frame)
        return frame

    async def closed(self) -> int | None:
        """The code the server closes with, whatever it says before."""
        while (await self.socket.receive(timeout=DEADLINE_S)).type is aiohttp.WSMsgType.TEXT:
            pass
        return self.socket.close_code

    async def say(self, text: str, frame_id: str | None = None, **more: Any) -> dict[str, Any]:
        """Write, and wait for the acknowledgement."""
        await self.send({"type": "message", "id": frame_id or secrets.token_hex(8), "text": text} | more)
        return await self.until("ack")

    @property
    def entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.welcome["entries"]
        return found


class Installation:
    """One installation with web chat accounts, as `omnibus run connectors` starts it."""

    def __init__(self, folder: Path, bus: Bus, blobs: BlobStore, accounts: dict[str, WebchatSettings]) -> None:
        self.topics = Topics()
        self._folder = folder
        self.bus = bus
        self.blobs = blobs
        channel = load_channel("connectors.webchat")
        self.accounts = {
            name: Account(name=name, channel=channel, settings=settings, inactivity=timedelta(days=1))
            for name, settings in accounts.items()
        }
        self._publisher = bus.publisher("test")
        self._service: ConnectorsService | None = None
        self._http = Http()

    async def start(self) -> None:
        await self.bus.ensure_topics(
            self.topics.all_specs(
                partitions=2,
                channels=["webchat"],
                queues=[],
                automations=[],
                channel_tables=[self.topics.channel_table("webchat", "history")],
            )
        )
        core = Core(http=HttpSettings(port=0, trusted_proxies=("127.0.0.1",)))
        config = Config(core=core, channels={}, queues={}, automations={}, sinks={}, sections={}, marks={})
        self._service = ConnectorsService(
            Runtime(
                config=config,
                topics=self.topics,
                bus=self.bus,
                blobs=self.blobs,
                http=self._http,
                accounts=self.accounts,
            )
        )
        await self._service.start()

    async def stop(self) -> None:
        assert self._service is not None
        await self._service.drain(5.0)
        await self._http.close()

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Installation]:
        """A second front door on the same files, as another process has it."""
        bus = open_bus(f"embedded:{self._folder / 'bus'}", self.topics, self.blobs)
        await bus.open()
        accounts = {name: account.settings for name, account in self.accounts.items()}
        other = Installation(self._folder, bus, self.blobs, accounts)
        try:
            await other.start()
            yield other
            await other.stop()
        finally:
            await bus.close()

    @property
    def origin(self) -> str:
        assert self._service is not None
        return f"http://127.0.0.1:{self._service.port}"

    def url(self, path: str, account: str = "site") -> str:
        return f"{self.origin}/ch/{account}{path}"

    @asynccontextmanager
    async def widget(
        self, browser: aiohttp.ClientSession, *, account: str = "site", origin: str | None = None, **hello: Any
    ) -> AsyncIterator[Widget]:
        """A chat that has been welcomed."""
        async with self.line(browser, account=account, origin=origin) as widget:
            await widget.send({"type": "hello"} | hello)
            widget.welcome = await widget.until("welcome")
            yield widget

    @asynccontextmanager
    async def line(
        self, browser: aiohttp.ClientSession, *, account: str = "site", origin: str | None = None
    ) -> AsyncIterator[Widget]:
        """A chat that has not said hello."""
        headers = {} if origin is None else {"Origin": origin}
        async with await self._connect(browser, account, headers) as socket:
            yield Widget(socket)

    async def _connect(
        self, browser: aiohttp.ClientSession, account: str, headers: dict[str, str]
    ) -> aiohttp.ClientWebSocketResponse:
        """The receiver lets chats in as soon as it has read the history."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    return await browser.ws_connect(self.url("/ws", account), headers=headers)
                except aiohttp.WSServerHandshakeError as refusal:
                    if refusal.status != 503:
                        raise
                    await asyncio.sleep(0.01)

    async def raws(self) -> list[RawEvent]:
        """The raw events on the bus, in no order between threads."""
        return [decode_raw(record.value or b"") for record in await self.records(self.topics.raw("webchat"))]

    async def records(self, topic: str) -> Sequence[Record]:
        found: list[Record] = []
        for partition, (first, _) in (await self.bus.bounds(topic)).items():
            found.extend(await self.bus.read(topic, partition, first))
        return found

    async def reply(self, thread: str, content: c.Content, message_id: str, **more: Any) -> Sent:
        """A message of our side, as the channel-reply sink sends it: its history entry comes with the delivery."""
        account = self.accounts["site"]
        tools = SenderTools(account=account, http=self._http, blobs=self.blobs, topics=self.topics)
        sent = await WebchatSender(tools).send(outbound(thread, content, message_id, **more))
        await self._publisher.publish(sent.also)
        return sent


def outbound(
    thread: str,
    content: c.Content,
    message_id: str,
    *,
    author: Author | None = None,
    attachments: tuple[Attachment, ...] = (),
) -> Outbound:
    """An outbound message to a thread of the account `site`."""
    at = clock.now()
    recipient = ChannelIdentity(id="idn_1", channel="webchat", scheme="cookie", value=thread, normalized=thread)
    conversation = Conversation(
        id="conv_1",
        channel="webchat",
        channel_account_id="site",
        thread_key=thread,
        contact_id="cnt_1",
        status="open",
    )
    message = Message(
        id=message_id,
        conversation_id="conv_1",
        channel="webchat",
        channel_account_id="site",
        direction="outbound",
        author=author or Author(type="agent", display_name="Bruno"),
        content=content,
        attachments=attachments,
        status="queued",
        created_at=at,
        received_at=at,
    )
    return Outbound(message=message, conversation=conversation, recipient=recipient)


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    """Two web chats: `site`, and `strict` with small limits."""
    blobs = open_blobs(f"file:{tmp_path / 'blobs'}")
    bus = open_bus(f"embedded:{tmp_path / 'bus'}", Topics(), blobs)
    await bus.open()
    strict = chat_settings(
        messages_per_minute=10,
        uploads_per_hour=4,
        max_text_chars=20,
        max_file_size=1_000,
        max_connections_per_visitor=2,
        max_connections_per_ip=4,
        max_connections=5,
    )
    installation = Installation(tmp_path, bus, blobs, {"site": chat_settings(), "strict": strict})
    try:
        await installation.start()
        yield installation
        await installation.stop()
    finally:
        await bus.close()


@pytest.fixture
async def browsers() -> AsyncIterator[Callable[[], aiohttp.ClientSession]]:
    """Makes browsers, each with cookies of its own."""
    made: list[aiohttp.ClientSession] = []

    def browser() -> aiohttp.ClientSession:
        # Cookies of an address without a name are kept only when asked for.
        made.append(aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
        return made[-1]

    yield browser
    for session in made:
        await session.close()


@pytest.fixture
async def browser(browsers: Callable[[], aiohttp.ClientSession]) -> aiohttp.ClientSession:
    """One browser."""
    return browsers()


@pytest.fixture
def hmac_of() -> Callable[[str], str]:
    """Signs user ids as the embedding site's server does."""
    return user_hmac


@pytest.fixture
def typing_token() -> str:
    """The token of programs that show typing."""
    return TYPING_TOKEN
