"""One open chat: the bounded queue towards the person, and the end of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from connectors._shared.live.frames import Frame, write_frame

MAX_WAITING = 256
"""Frames that may wait for a slow client; then it is closed, and asks for what it missed when it is back."""
CLOSING_S = 3.0


class Connection:
    """Reads frames one at a time and writes from a queue. `run` returns when the chat is over."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request
        self._waiting: asyncio.Queue[Frame] = asyncio.Queue(MAX_WAITING)
        self._stopped: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def send(self, frame: Frame) -> None:
        """Queue a frame; a client that does not read its frames is closed."""
        try:
            self._waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self.stop(WSCloseCode.TRY_AGAIN_LATER, "too slow")

    def stop(self, code: int, reason: str) -> None:
        """Close as soon as possible; the first reason counts."""
        if not self._stopped.done():
            self._stopped.set_result((code, reason))

    async def run(self, handle: Callable[[bytes], Awaitable[None]]) -> None:
        """Give every frame to `handle` until one side ends it."""
        reading = asyncio.create_task(self._read(handle))
        writing = asyncio.create_task(self._write())
        try:
            ends: set[asyncio.Future[Any]] = {reading, writing, self._stopped}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            await self._finish(reading)
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
        if reading.done() and not reading.cancelled() and (failure := reading.exception()) is not None:
            raise failure

    async def _read(self, handle: Callable[[bytes], Awaitable[None]]) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                self.stop(WSCloseCode.UNSUPPORTED_DATA, "text frames only")
                return
            await handle(message.data.encode())

    async def _write(self) -> None:
        while True:
            frame = await self._waiting.get()
            try:
                await self._socket.send_str(write_frame(frame))
            except ConnectionError:
                return

    async def _finish(self, reading: asyncio.Task[None]) -> None:
        failed = reading.done() and reading.exception() is not None
        ordinary = (WSCloseCode.INTERNAL_ERROR, "") if failed else (WSCloseCode.OK, "")
        code, reason = self._stopped.result() if self._stopped.done() else ordinary
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSING_S):
                await self._say_the_last(code)
                await self._socket.close(code=code, message=reason.encode())
        except (TimeoutError, ConnectionError):
            self._abort()

    async def _say_the_last(self, code: int) -> None:
        """What was queued before a refusal explains it; a client that is too slow would only be slower."""
        if code == WSCloseCode.TRY_AGAIN_LATER:
            return
        while not self._waiting.empty() and not self._socket.closed:
            await self._socket.send_str(write_frame(self._waiting.get_nowait()))

    def _abort(self) -> None:
        """The other side does not even take our good-bye: let go of the line."""
        if self._request.transport is not None:
            self._request.transport.abort()
