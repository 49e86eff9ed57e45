"""The receiver of a live line: lets chats in, and pushes what enters the history to them."""

from __future__ import annotations

import asyncio
import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable

import msgspec
import structlog
from aiohttp import WSCloseCode, web

from connectors._shared.live.chat import LiveChat
from connectors._shared.live.connection import Connection
from connectors._shared.live.desk import LiveDesk
from connectors._shared.live.expiry import SWEEP_EVERY, removals
from connectors._shared.live.frames import MAX_FRAME_BYTES, Short, Typing
from connectors._shared.live.history import History, entry_of
from connectors._shared.live.hub import Listener
from omnibus import clock
from omnibus.channel.client import CLIENT
from omnibus.errors import OmnibusError

HELLO_S = 15.0
HEARTBEAT_S = 30.0
"""A WebSocket ping so often; a client that does not answer within half of it is gone."""

log = structlog.get_logger("omnibus.live")


class TypingNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What a program of our side says while somebody is writing. `thread` is the conversation's `thread_key`."""

    thread: str
    on: bool = True
    name: Short | None = None


class LiveReceiver(ABC):
    """One account's receiver. Chats are let in while `run` follows the history."""

    def __init__(self, desk: LiveDesk) -> None:
        self.live = desk

    @abstractmethod
    def begin(self, request: web.Request, socket: web.WebSocketResponse, remote: str) -> Callable[[Listener], LiveChat]:
        """Called before the socket is prepared (headers may still be set): how the chat on it is made."""

    async def run(self) -> None:
        """Follow the history, in every process that has chats open, so that a reply arrives wherever the client is."""
        bus, topic = self.live.tools.bus, self.live.topic
        ends = {partition: after for partition, (_, after) in (await bus.bounds(topic)).items()}
        history = History(await bus.global_table(topic), self.live.account, self.live.bounds.history_for)
        self.live.open(history)
        self.live.tools.status("ok")
        sweeping = asyncio.create_task(self._sweep(history))
        try:
            async for records in bus.follow(topic, ends):
                for record in records:
                    if (found := entry_of(record, self.live.account)) is not None:
                        self.live.hub.entered(*found)
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            # Without the follower chats would miss replies; closed ones come back and ask for what they missed.
            self.live.close()
            self.live.hub.stop_all(WSCloseCode.SERVICE_RESTART, "restart")

    async def _sweep(self, history: History) -> None:
        """Take out what is too old, now and every hour; each process does, which changes nothing twice."""
        while True:
            try:
                await self.expire(history)
            except (OmnibusError, OSError) as fault:  # the next hour is soon enough
                log.warning("live.history_not_swept", account=self.live.account, why=type(fault).__name__)
            await asyncio.sleep(SWEEP_EVERY.total_seconds())

    async def expire(self, history: History) -> None:
        """Take out of the history what is older than the account keeps."""
        bus, topic = self.live.tools.bus, self.live.topic
        async for outs in removals(bus, topic, history.table, self.live.account, history.begins_ms):
            await self.live.tools.publish([], outs)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws``: one chat, until one side ends it."""
        remote = request.get(CLIENT, "")
        if (refusal := self.refusal(request, remote)) is not None:
            return refusal
        self.live.open_chats += 1
        try:
            return await self._converse(request, remote)
        finally:
            self.live.open_chats -= 1
            self.live.open_by_address.leave(remote)

    def refusal(self, request: web.Request, remote: str) -> web.Response | None:
        """Why this chat cannot be opened; None when it can, and then it is counted."""
        if not self.live.is_open or self.live.open_chats >= self.live.bounds.max_connections:
            self.live.rejected("full")
            return busy(503)
        if self.live.connects.take(remote, clock.now_ms()) or not self.live.open_by_address.enter(remote):
            self.live.rejected("address_limit")
            return busy(429)
        return None

    async def typing(self, request: web.Request) -> web.Response:
        """``POST /typing`` with the bearer token: show or hide "is typing" in the chats open in this process."""
        token, given = self.live.bounds.typing_token, bearer_of(request) or ""
        if token is None or not hmac.compare_digest(token.reveal().encode(), given.encode("utf-8", "surrogatepass")):
            return web.json_response({"error": 401, "detail": "typing needs the typing_token"}, status=401)
        try:
            notice = msgspec.json.decode(await request.content.read(4_096), type=TypingNotice)
        except (msgspec.MsgspecError, RecursionError):
            return web.json_response({"error": 400, "detail": "expected thread, on and name"}, status=400)
        reached = self.live.hub.tell(notice.thread, Typing(on=notice.on, name=notice.name))
        return web.json_response({"reached": reached})

    async def _converse(self, request: web.Request, remote: str) -> web.StreamResponse:
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MAX_FRAME_BYTES, compress=False)
        made = self.begin(request, socket, remote)
        await socket.prepare(request)
        connection = Connection(socket, request)
        chat = made(connection)
        waiting = asyncio.get_running_loop().call_later(HELLO_S, chat.give_up_on_hello)
        try:
            await connection.run(chat.handle)
        finally:
            waiting.cancel()
            chat.leave()
        return socket


def bearer_of(request: web.Request) -> str | None:
    """The bearer token of a request."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def busy(status: int) -> web.Response:
    """Later, please."""
    return web.json_response({"error": status, "detail": "try again"}, status=status, headers={"Retry-After": "5"})
