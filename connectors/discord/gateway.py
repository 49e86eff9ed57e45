"""The gateway: a connection over which Discord tells what happens, and which goes on where it broke off.

https://docs.discord.com/developers/events/gateway
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from enum import IntEnum

import msgspec
import structlog

from connectors._shared.cursor import stored_cursor
from connectors._shared.reading import Foreign, Number, read
from connectors.discord.answers import answer_to
from connectors.discord.api import RestApi
from connectors.discord.channel import DiscordSettings
from connectors.discord.mapping import BOT_ID, SESSION
from connectors.discord.payload import Frame, Interaction, User
from omnibus import clock
from omnibus.channel.receive import ReceiverTools
from omnibus.errors import InvalidPayload, Misconfigured, Overloaded, Refused, TryAgain
from omnibus.http import Socket, SocketClosed
from omnibus.model import ids
from omnibus.model.raw import RawEvent


class Op(IntEnum):
    """https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway"""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    RESUME = 6
    RECONNECT = 7
    INVALID_SESSION = 9
    HELLO = 10
    ACK = 11


INTENTS = {  # https://docs.discord.com/developers/events/gateway#list-of-intents
    "guilds": 1 << 9 | 1 << 10,  # messages and reactions in servers
    "direct": 1 << 12 | 1 << 13,  # messages and reactions in direct messages
}
MESSAGE_CONTENT = 1 << 15

KEEPS_SESSION = 4000
"""Closing with 1000 or 1001 would end the session: https://docs.discord.com/developers/events/gateway#disconnecting"""

MISTAKES = {  # https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes
    4004: ("bot_token", "Discord does not know this token"),
    4010: ("bot_token", "the bot is in so many servers that it has to be sharded, which Omnibus does not do"),
    4011: ("bot_token", "the bot is in so many servers that it has to be sharded, which Omnibus does not do"),
    4012: ("api_url", "this version of the API is no more"),
    4013: ("listen_to", "Discord does not know what we ask for"),
    4014: ("listen_to", "switch Message Content Intent on, on the Bot page of the application"),
}
SESSION_OVER = frozenset({1000, 1001, 4003, 4007, 4009})

TOLD = frozenset(
    {
        "MESSAGE_CREATE",
        "MESSAGE_UPDATE",
        "MESSAGE_DELETE",
        "MESSAGE_DELETE_BULK",
        "MESSAGE_REACTION_ADD",
        "MESSAGE_REACTION_REMOVE",
        "MESSAGE_REACTION_REMOVE_ALL",
        "MESSAGE_REACTION_REMOVE_EMOJI",
        "INTERACTION_CREATE",
    }
)
"""Events that are kept; the others tell of presence, of pins, and of the connection itself."""

log = structlog.get_logger("omnibus.discord")


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """A session, how far we are in it, where it goes on, and who we are."""

    session: str = ""
    number: int | None = None
    url: str = ""
    bot_id: str = ""


class _Again(Exception):
    """Connect once more, at once."""


class _Limit(Foreign, frozen=True, kw_only=True):
    remaining: Number = 1
    reset_after: Number = 0


class _Gateway(Foreign, frozen=True, kw_only=True):
    """https://docs.discord.com/developers/events/gateway#get-gateway-bot"""

    url: str
    session_start_limit: _Limit = _Limit()


class _Hello(Foreign, frozen=True, kw_only=True):
    heartbeat_interval: float


class _Ready(Foreign, frozen=True, kw_only=True):
    session_id: str
    resume_gateway_url: str
    user: User


class DiscordGateway:
    """Listens for as long as it runs. The place in the session is stored with each event, in one transaction: after a
    crash Discord tells again what we have not stored, for as long as it keeps the session.
    """

    def __init__(
        self,
        tools: ReceiverTools,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._tools = tools
        self._settings: DiscordSettings = tools.account.settings
        self._api = RestApi(tools.http, self._settings)
        self._sleep = sleep
        self._jitter = jitter
        self._cursor = Cursor()
        self._greeted = False
        """Whether Discord has let us in on this connection."""

    async def run(self) -> None:
        """Raises Misconfigured (token, intents), TryAgain (Discord is away), Fenced (another process took over)."""
        stored = await self._tools.cursor()
        self._cursor = stored_cursor(stored, Cursor) if stored else Cursor()
        while True:
            with suppress(_Again):
                await self._connection()

    async def _connection(self) -> None:
        """One connection. Raises _Again, TryAgain, Misconfigured."""
        url = self._cursor.url or await self._find()
        self._greeted = False
        address = f"{url.rstrip('/')}/?v=10&encoding=json"
        # Heartbeats are Discord's own, so those of the socket would only be in their way.
        async with self._tools.http.websocket(
            address, heartbeat=timedelta(hours=1), allow_private=self._api.allow_private
        ) as socket:
            try:
                await self._converse(socket)
            except SocketClosed as closed:
                await self._judge(closed)
            except InvalidPayload as nonsense:
                raise TryAgain(f"the gateway sent something that we cannot read: {nonsense.path}") from None
            finally:
                await socket.close(KEEPS_SESSION)

    async def _find(self) -> str:
        """Where the gateway is. Raises TryAgain when we have connected too often today."""
        gateway = await self._api.get("/gateway/bot", _Gateway)
        limit = gateway.session_start_limit
        if limit.remaining <= 0:
            raise TryAgain("no sessions are left for today", after=timedelta(milliseconds=max(limit.reset_after, 0)))
        return gateway.url

    async def _judge(self, closed: SocketClosed) -> None:
        """What Discord means by closing."""
        if closed.close_code in MISTAKES:
            raise Misconfigured(*MISTAKES[closed.close_code]) from None
        if closed.close_code in SESSION_OVER:
            await self._forget()
        raise closed

    async def _forget(self) -> None:
        """The session is over: what happened since is lost, and a new one begins."""
        self._cursor = Cursor()
        await self._tools.publish_with_cursor([], msgspec.json.encode(self._cursor))

    async def _converse(self, socket: Socket) -> None:
        """https://docs.discord.com/developers/events/gateway#connection-lifecycle"""
        hello = _frame(await socket.receive())
        if hello.op != Op.HELLO:
            raise TryAgain("Discord did not greet us")
        pulse = Pulse(socket, read(hello.d, _Hello, "$.d").heartbeat_interval / 1000, lambda: self._cursor.number)
        beating = asyncio.create_task(pulse.beat(self._sleep, self._jitter))
        try:
            await self._introduce(socket)
            while True:
                text = await socket.receive()
                await self._on(_frame(text), text, pulse)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _introduce(self, socket: Socket) -> None:
        """Go on with the session that we know, or begin a new one."""
        token, cursor = self._settings.bot_token.reveal(), self._cursor
        if cursor.session:
            told = {"token": token, "session_id": cursor.session, "seq": cursor.number}
            await _say(socket, Op.RESUME, told)
            return
        intents = MESSAGE_CONTENT
        for who in self._settings.listen_to:
            intents |= INTENTS[who]
        properties = {"os": "linux", "browser": "omnibus", "device": "omnibus"}
        await _say(socket, Op.IDENTIFY, {"token": token, "intents": intents, "properties": properties})

    async def _on(self, frame: Frame, text: str | bytes, pulse: Pulse) -> None:
        match frame.op:
            case Op.DISPATCH:
                await self._on_event(frame, text)
            case Op.HEARTBEAT:
                await pulse.now()
            case Op.ACK:
                pulse.answered = True
            case Op.RECONNECT:
                raise _Again if self._greeted else TryAgain("Discord wants us to come back")
            case Op.INVALID_SESSION:
                await self._on_invalid_session(frame)

    async def _on_invalid_session(self, frame: Frame) -> None:
        """https://docs.discord.com/developers/events/gateway#invalid-session-event: wait one to five seconds."""
        if bytes(frame.d) != b"true":
            await self._forget()
        await self._sleep(1 + 4 * self._jitter())
        raise _Again

    async def _on_event(self, frame: Frame, text: str | bytes) -> None:
        if frame.t == "READY":
            ready = read(frame.d, _Ready, "$.d")
            self._cursor = Cursor(session=ready.session_id, url=ready.resume_gateway_url, bot_id=ready.user.id)
        if frame.s is not None:
            self._cursor = msgspec.structs.replace(self._cursor, number=frame.s)
        if frame.t in ("READY", "RESUMED"):
            self._greeted = True
            self._tools.status("ok")
        if frame.t in TOLD:
            await self._store([self._raw_event(text)])
        elif frame.t == "READY":
            await self._store([])
        if frame.t == "INTERACTION_CREATE":
            await self._answer(frame)

    async def _store(self, raws: list[RawEvent]) -> None:
        while True:
            try:
                await self._tools.publish_with_cursor(raws, msgspec.json.encode(self._cursor))
            except Overloaded as full:
                self._tools.status("degraded", "the bus is full; Discord waits meanwhile")
                await self._sleep(full.after.total_seconds())
            else:
                return

    def _raw_event(self, text: str | bytes) -> RawEvent:
        return RawEvent(
            id=ids.random_id("raw"),
            channel=self._tools.account.channel.name,
            account=self._tools.account.name,
            received_at=clock.now(),
            body=text.encode("utf-8", "replace") if isinstance(text, str) else text,
            transport="socket",
            verified="transport",
            headers=(("content-type", "application/json"),),
            attributes={SESSION: self._cursor.session, BOT_ID: self._cursor.bot_id},
        )

    async def _answer(self, frame: Frame) -> None:
        """Whoever used it is waiting; only a courtesy, so its failure changes nothing.

        https://docs.discord.com/developers/interactions/receiving-and-responding#create-interaction-response
        """
        try:
            interaction = read(frame.d, Interaction, "$.d")
            body = answer_to(bytes(frame.d), self._settings.command_answer)
            await self._api.tell(f"/interactions/{interaction.id}/{_path(interaction.token)}/callback", body)
        except (TryAgain, Refused, Misconfigured, InvalidPayload) as fault:
            log.info("discord.interaction_not_answered", account=self._tools.account.name, why=type(fault).__name__)


class Pulse:
    """Heartbeats of one connection. https://docs.discord.com/developers/events/gateway#sending-heartbeats"""

    def __init__(self, socket: Socket, every: float, number: Callable[[], int | None]) -> None:
        self._socket = socket
        self._every = min(max(every, 0.01), 600.0)
        self._number = number
        self.answered = True

    async def beat(self, sleep: Callable[[float], Awaitable[object]], jitter: Callable[[], float]) -> None:
        """Until the connection ends. One that no longer answers is closed, so that its reader notices."""
        await sleep(self._every * jitter())
        while self.answered:
            self.answered = False
            await self.now()
            await sleep(self._every)
        await self._socket.close(KEEPS_SESSION)

    async def now(self) -> None:
        """Raises SocketClosed."""
        await _say(self._socket, Op.HEARTBEAT, self._number())


async def _say(socket: Socket, op: Op, d: object) -> None:
    await socket.send(msgspec.json.encode({"op": op, "d": d}).decode())


def _frame(text: str | bytes) -> Frame:
    """Raises InvalidPayload: a gateway that talks nonsense is left, and looked for anew."""
    return read(text.encode("utf-8", "replace") if isinstance(text, str) else text, Frame)


def _path(token: str) -> str:
    """A token as a part of an address."""
    return "".join(sign for sign in token if sign.isascii() and (sign.isalnum() or sign in "-_."))
