"""The web chat receiver: serves the widget and its socket, and pushes what enters the history to open chats."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence

import msgspec
from aiohttp import WSCloseCode, web

from connectors.webchat.chat import Chat
from connectors.webchat.connection import Connection
from connectors.webchat.desk import Desk
from connectors.webchat.door import Door, bearer_of
from connectors.webchat.files import Files
from connectors.webchat.history import History, entry_of
from connectors.webchat.identity import Signer, new_visitor
from connectors.webchat.pages import page_routes
from connectors.webchat.protocol import MAX_FRAME_BYTES, Short, Typing
from connectors.webchat.settings import WebchatSettings
from omnibus import clock
from omnibus.channel.client import CLIENT
from omnibus.channel.receive import ReceiverTools

HELLO_S = 15.0
HEARTBEAT_S = 30.0
"""A WebSocket ping so often; a widget that does not answer within half of it is gone."""


class TypingNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What a program of our side says while somebody is writing. `thread` is the conversation's `thread_key`."""

    thread: str
    on: bool = True
    name: Short | None = None


class WebchatReceiver:
    """One account's receiver. Chats are let in while `run` follows the history."""

    def __init__(self, tools: ReceiverTools) -> None:
        settings = tools.account.settings
        assert isinstance(settings, WebchatSettings)
        signer = Signer(settings.cookie_secret.reveal(), tools.account.name)
        self._tools = tools
        self._settings = settings
        self._signer = signer
        self._desk = Desk(tools, settings, signer)
        self._door = Door(tools.account, settings, signer)
        self._files = Files(self._desk, self._door)

    async def run(self) -> None:
        """Follow the history, in every process that has chats open, so that a reply arrives wherever the widget is."""
        bus, topic = self._tools.bus, self._desk.topic
        ends = {partition: after for partition, (_, after) in (await bus.bounds(topic)).items()}
        self._desk.open(History(await bus.global_table(topic), self._desk.account))
        self._tools.status("ok")
        try:
            async for records in bus.follow(topic, ends):
                for record in records:
                    if (found := entry_of(record, self._desk.account)) is not None:
                        self._desk.hub.entered(*found)
        finally:
            # Without the follower chats would miss replies; closed ones come back and ask for what they missed.
            self._desk.close()
            self._desk.hub.stop_all(WSCloseCode.SERVICE_RESTART, "restart")

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Below ``/ch/<account>``."""
        return [
            web.get("/ws", self.chat),
            web.post("/files", self._files.upload),
            web.options("/files", self._files.preflight),
            web.get("/files/{digest:[0-9a-f]{64}}", self._files.download),
            web.post("/typing", self.typing),
            *page_routes(),
        ]

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws``: one chat, until one side ends it."""
        remote = request.get(CLIENT, "")
        if (refusal := self._refusal(request, remote)) is not None:
            return refusal
        self._desk.open_chats += 1
        try:
            return await self._converse(request, remote)
        finally:
            self._desk.open_chats -= 1
            self._desk.open_by_address.leave(remote)

    def _refusal(self, request: web.Request, remote: str) -> web.Response | None:
        """Why this chat cannot be opened; None when it can, and then it is counted."""
        if not self._door.admits(request):
            self._desk.rejected("origin")
            return web.json_response({"error": 403, "detail": "this page may not embed the chat"}, status=403)
        if not self._desk.is_open or self._desk.open_chats >= self._settings.max_connections:
            self._desk.rejected("full")
            return _busy(503)
        if self._desk.connects.take(remote, clock.now_ms()) or not self._desk.open_by_address.enter(remote):
            self._desk.rejected("address_limit")
            return _busy(429)
        return None

    async def _converse(self, request: web.Request, remote: str) -> web.StreamResponse:
        now_ms = clock.now_ms()
        browser = self._door.cookie_visitor(request, now_ms) or new_visitor()
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MAX_FRAME_BYTES, compress=False)
        self._door.set_cookie(request, socket, self._signer.token(browser, now_ms))
        await socket.prepare(request)
        connection = Connection(socket, request)
        chat = Chat(desk=self._desk, line=connection, remote=remote, browser=browser)
        waiting = asyncio.get_running_loop().call_later(HELLO_S, chat.give_up_on_hello)
        try:
            await connection.run(chat.handle)
        finally:
            waiting.cancel()
            chat.leave()
        return socket

    async def typing(self, request: web.Request) -> web.Response:
        """``POST /typing`` with the bearer token: show or hide "is typing" in the chats open in this process."""
        token, given = self._settings.typing_token, bearer_of(request) or ""
        if token is None or not hmac.compare_digest(token.reveal().encode(), given.encode("utf-8", "surrogatepass")):
            return web.json_response({"error": 401, "detail": "typing needs the typing_token"}, status=401)
        try:
            notice = msgspec.json.decode(await request.content.read(4_096), type=TypingNotice)
        except (msgspec.MsgspecError, RecursionError):
            return web.json_response({"error": 400, "detail": "expected thread, on and name"}, status=400)
        reached = self._desk.hub.tell(notice.thread, Typing(on=notice.on, name=notice.name))
        return web.json_response({"reached": reached})


def _busy(status: int) -> web.Response:
    return web.json_response({"error": status, "detail": "try again"}, status=status, headers={"Retry-After": "5"})
