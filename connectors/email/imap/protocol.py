"""The stream of one IMAP connection: what the server sends, cut into whole answers for the library's commands.

The library (aioimaplib, GPL-3.0) gives commands, tags and states. It is handed one line at a time through its public
`data_received`, and never a literal: left alone, it calls itself once for each line of a chunk, formats all it sees for
its log, and leaves those who wait for an answer waiting when the connection ends. What is overridden and called here
are its public names; its version is pinned all the same, because when it calls them is not promised.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

from aioimaplib import aioimaplib as library

from connectors.email.imap.answers import Literal
from connectors.email.imap.failures import Lost

MAX_LINE = 16 * 1024 * 1024
"""A line is an answer without its literals: the longest is a list of UIDs."""
LOST = "LOST"
"""The result of commands whose answer will never come."""

_LITERAL = re.compile(rb"\{(\d{1,12})\+?\}$")
_EXISTS = re.compile(rb"^\* (\d+) EXISTS\b", re.IGNORECASE)
_FETCH = re.compile(rb"^\* \d+ FETCH \(", re.IGNORECASE)

# It writes subjects and addresses at DEBUG and INFO: they have no place in logs.
logging.getLogger("aioimaplib").setLevel(logging.WARNING)


class Protocol(library.IMAP4ClientProtocol):  # type: ignore[misc]  # the library has no types
    """The library's commands over a reader of our own: no recursion, no logging, bounded, and never silent."""

    # The library's own attributes, whose types mypy cannot see.
    pending_sync_command: Any
    pending_async_commands: dict[str, Any]
    transport: Any

    def __init__(self, loop: asyncio.AbstractEventLoop, max_literal: int) -> None:
        super().__init__(loop)
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.lost = asyncio.Event()
        self.news = asyncio.Event()
        """Set when the server has told of mail since it was cleared."""
        self.chunks = 0
        """Grows with everything the server sends: one that stands still is silent."""
        self._max_literal = max_literal
        self._buffer = bytearray()
        self._scanned = 0
        self._pieces: list[bytes | Literal] = []
        self._left = 0

    def data_received(self, data: bytes) -> None:
        self.chunks += 1
        self._buffer += data
        try:
            self._drain()
        except (library.AioImapException, ValueError, IndexError, UnicodeError) as error:
            self.fail(f"unexpected answer: {type(error).__name__}")

    def _drain(self) -> None:
        while self._buffer:
            if self._left:
                self._take_literal()
                continue
            end = self._buffer.find(b"\r\n", max(0, self._scanned - 1))
            if end < 0:
                self._scanned = len(self._buffer)
                if len(self._buffer) > MAX_LINE:
                    self.fail("an endless line")
                return
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            self._scanned = 0
            self._take_line(line)

    def _take_line(self, line: bytes) -> None:
        announced = _LITERAL.search(line)
        if announced is not None:
            self._pieces.append(line)
            self._begin_literal(int(announced.group(1)))
        elif self._pieces:
            self._hand_over([*self._pieces, line])
            self._pieces = []
        elif line.startswith(b"+") and self._command == "AUTHENTICATE":
            # The reason of a refusal; the server waits for an empty line before it says NO (XOAUTH2's way).
            self.transport.write(b"\r\n")
        else:
            # How many mails a folder has when it is opened is no news of one.
            if _EXISTS.match(line) and self._command != "SELECT":
                self.news.set()
            super().data_received(line + b"\r\n")

    @property
    def _command(self) -> str:
        return "" if self.pending_sync_command is None else str(self.pending_sync_command.name)

    def _begin_literal(self, size: int) -> None:
        if size > self._max_literal:
            self.fail("a literal larger than asked for")
            return
        self._left = size
        self._pieces.append(Literal())

    def _take_literal(self) -> None:
        piece = self._buffer[: self._left]
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        literal = self._pieces[-1]
        assert isinstance(literal, Literal), "a literal has begun"
        literal.write(bytes(piece))

    def _hand_over(self, pieces: list[bytes | Literal]) -> None:
        """An answer with literals belongs to the FETCH under way; nothing else we ask is answered with any."""
        command = self.pending_async_commands.get("FETCH")
        first = pieces[0]
        if command is not None and isinstance(first, bytes) and _FETCH.match(first):
            for piece in (first.removeprefix(b"* "), *pieces[1:]):
                command.append_to_resp(piece)

    async def welcome(self, line: bytes) -> None:
        try:
            await super().welcome(line)
        except (library.AioImapException, IndexError) as error:
            if not self.greeted.done():
                self.greeted.set_exception(Lost(f"no IMAP server: {type(error).__name__}"))
        else:
            if not self.greeted.done():
                self.greeted.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.fail("the connection ended")

    def fail(self, why: str) -> None:
        """Everybody who waits is told, and nothing more is read."""
        self.lost.set()
        self._buffer.clear()
        self._pieces = []
        self._left = 0
        if self.transport is not None:
            self.transport.abort()
        if not self.greeted.done():
            self.greeted.set_exception(Lost(why))
        waiting = [self.pending_sync_command, *self.pending_async_commands.values()]
        self.pending_sync_command = None
        self.pending_async_commands.clear()
        for command in waiting:
            if command is not None:
                command.close(why.encode(), LOST)
