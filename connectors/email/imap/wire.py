"""One IMAP connection, in our words. The only importer of aioimaplib (GPL-3.0, the extra `omnibus[imap]`).

The library's commands and states are used as they are. Its reading of the stream is replaced: it calls itself once for
each line of a chunk, logs all text it sees, and leaves those who wait for an answer waiting when the connection ends.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from aioimaplib import aioimaplib as library

from connectors.email.imap.uids import sequence_set
from connectors.email.settings import ImapSettings
from omnibus.errors import Misconfigured, OmnibusError, TryAgain

MAX_LINE = 16 * 1024 * 1024
"""A line is an answer without its literals: the longest is a list of UIDs."""

_LITERAL = re.compile(rb"\{(\d{1,12})\+?\}$")
_EXISTS = re.compile(rb"^\* (\d+) EXISTS\b", re.IGNORECASE)
_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_DATE = re.compile(rb'\bINTERNALDATE "([^"]{10,40})"')
# RFC 5530: passing faults, although the login was refused.
_PASSING = frozenset({"UNAVAILABLE", "LIMIT", "INUSE", "SERVERBUG", "ALERT", "CONTACTADMIN"})


class Lost(TryAgain):
    """The connection ended, or the server went silent: connect again."""


class Declined(OmnibusError):
    """The server answered NO or BAD to a command; the connection goes on. `code` is its response code, '' without."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        found = re.search(r"\[([A-Z-]+)", words)
        self.code = found.group(1) if found else ""

    @property
    def will_pass(self) -> bool:
        """Whether the server says that it is its own fault, and passing."""
        return self.code in _PASSING


class LoginRefused(OmnibusError):
    """The server does not know us. With a token, a fresh one may help."""


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder says of itself. `next_uid` is the UID its next mail will have at least."""

    validity: int
    next_uid: int


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A mail without its text. `at` is when it arrived, in seconds since 1970; 0 when the server does not say."""

    uid: int
    size: int
    at: int
    header: bytes = b""
    body: bytes | None = None


class _Protocol(library.IMAP4ClientProtocol):  # type: ignore[misc]  # the library has no types
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
        self._max_literal = max_literal
        self._buffer = bytearray()
        self._scanned = 0
        self._literal = bytearray()
        self._left = 0
        self._current: Any = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            self._drain()
        except (library.AioImapException, ValueError, IndexError, UnicodeError) as error:
            self._fail(f"unexpected answer: {type(error).__name__}")

    def _drain(self) -> None:
        while self._buffer:
            if self._left:
                self._take_literal()
                continue
            end = self._buffer.find(b"\r\n", max(0, self._scanned - 1))
            if end < 0:
                self._scanned = len(self._buffer)
                if len(self._buffer) > MAX_LINE:
                    self._fail("an endless line")
                return
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            self._scanned = 0
            self._take_line(line)
        if self.pending_sync_command is not None and self._current is None:
            self.pending_sync_command.flush()

    def _take_line(self, line: bytes) -> None:
        if _EXISTS.match(line) and self._current is None:
            self.news.set()
        command = self._handle_line(line, self._current)
        announced = _LITERAL.search(line)
        if announced is None:
            self._current = None
            return
        self._left = int(announced.group(1))
        if self._left > self._max_literal:
            self._fail("a literal larger than asked for")
            return
        self._literal = bytearray()
        self._current = command if command is not None else library.Command("NIL", "unused", loop=self.loop)
        if not self._left:
            self._current.append_to_resp(self._literal)

    def _take_literal(self) -> None:
        piece = self._buffer[: self._left]
        del self._buffer[: len(piece)]
        self._literal += piece
        self._left -= len(piece)
        self._current._reset_timer()
        if not self._left:
            self._current.append_to_resp(self._literal)
            self._literal = bytearray()

    def _continuation(self, line: bytes) -> None:
        if self.pending_sync_command is not None and self.pending_sync_command.name == "AUTHENTICATE":
            # The reason of a refusal; the server waits for an empty line before it says NO (XOAUTH2's way).
            self.transport.write(b"\r\n")
        else:
            super()._continuation(line)

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
        self._fail("the connection ended")

    def _fail(self, why: str) -> None:
        """Everybody who waits is told, and nothing more is read."""
        self.lost.set()
        self._buffer.clear()
        self._left = 0
        if self.transport is not None:
            self.transport.abort()
        if not self.greeted.done():
            self.greeted.set_exception(Lost(why))
        for command in (self.pending_sync_command, *self.pending_async_commands.values()):
            if command is not None:
                command._exception = library.Abort(why)
                command._timer.cancel()
                command._event.set()
        self.pending_sync_command = None
        self.pending_async_commands.clear()


class Connection:
    """A connection to one mailbox. Every method raises Lost when it breaks, and Declined when the server says no."""

    def __init__(self, settings: ImapSettings) -> None:
        self._settings = settings
        self._timeout = settings.timeout.total_seconds()
        self._protocol = _Protocol(asyncio.get_running_loop(), settings.max_size + 1024 * 1024)
        self.selected: str | None = None

    async def open(self) -> None:
        """Connect and read the greeting. Raises Misconfigured for a certificate that is not valid, Lost."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        tls = ssl.create_default_context() if settings.tls else None
        try:
            async with asyncio.timeout(self._timeout):
                await loop.create_connection(lambda: self._protocol, settings.host, settings.port, ssl=tls)
                await self._protocol.greeted
        except ssl.SSLCertVerificationError as error:
            raise Misconfigured(
                "imap.host", f"the server's certificate is not valid: {error.verify_message}"
            ) from error
        except (OSError, TimeoutError) as error:
            raise Lost(f"cannot reach {settings.host}:{settings.port}: {type(error).__name__}") from error

    async def login(self, secret: str, *, token: bool) -> None:
        """Log in with a password or an access token. Raises LoginRefused, TryAgain when the refusal will pass."""
        protocol, user = self._protocol, self._settings.user
        if token:
            answer = await self._answered(protocol.xoauth2(user, secret))
        else:
            answer = await self._answered(protocol.login(library.quoted(user), secret))
        if answer.result != "OK":
            refusal = Declined(_words(answer))
            if refusal.will_pass:
                raise TryAgain(f"the IMAP server refuses the login for now ({refusal.code})")
            raise LoginRefused("the IMAP server refused the login")
        await self._answered(protocol.capability())

    async def select(self, folder: str) -> Selected:
        """Open a folder for reading and changing."""
        self.selected = None
        lines = await self._lines(self._protocol.select(mailbox_name(folder)))
        self.selected = folder
        return _selected(b" ".join(lines))

    async def status(self, folder: str) -> Selected:
        """The same of a folder that is not open, without opening it."""
        command = self._protocol.simple_command("STATUS", mailbox_name(folder), "(UIDNEXT UIDVALIDITY)")
        return _selected(b" ".join(await self._lines(command)))

    async def search(self, criteria: str) -> list[int]:
        """The UIDs that match, ascending."""
        self._protocol.news.clear()
        lines = await self._lines(self._protocol.search(criteria, charset=None, by_uid=True))
        return sorted(int(word) for line in lines[:-1] for word in line.split() if word.isdigit())

    async def listed(self, uids: Iterable[int], *, header: bool = False) -> list[Listed]:
        """Size and arrival of mails; with `header`, their Message-ID field too."""
        field = " BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]" if header else ""
        return await self._fetch(uids, f"(UID RFC822.SIZE INTERNALDATE{field})", header=header)

    async def bodies(self, uids: Iterable[int]) -> list[Listed]:
        """Whole mails. They stay as unread as they are."""
        return await self._fetch(uids, "(UID RFC822.SIZE INTERNALDATE BODY.PEEK[])")

    async def header(self, uid: int) -> bytes:
        """The header block of one mail."""
        found = await self._fetch([uid], "(UID BODY.PEEK[HEADER])", header=True)
        return found[0].header if found else b""

    async def mark(self, uids: Iterable[int], flag: str) -> None:
        """Put a flag on mails."""
        await self._done(self._protocol.store(sequence_set(uids), "+FLAGS.SILENT", f"({flag})", by_uid=True))

    async def move(self, uids: list[int], folder: str) -> None:
        """Move mails (RFC 6851); by copy and deletion where the server knows no better."""
        name = mailbox_name(folder)
        if "MOVE" in self._protocol.capabilities:
            await self._done(self._protocol.move(sequence_set(uids), name, by_uid=True))
        else:
            await self._done(self._protocol.copy(sequence_set(uids), name, by_uid=True))
            await self.delete(uids)

    async def delete(self, uids: list[int]) -> None:
        """Delete mails. Without UIDPLUS (RFC 4315) they are only marked: EXPUNGE alone would take others' as well."""
        await self.mark(uids, "\\Deleted")
        if "UIDPLUS" in self._protocol.capabilities:
            await self._done(self._protocol.expunge(sequence_set(uids), by_uid=True))

    @property
    def watches(self) -> bool:
        """Whether the server tells of new mail by itself."""
        return "IDLE" in self._protocol.capabilities

    async def wait(self, seconds: float) -> None:
        """Returns when the server tells of mail, or after so many seconds. Raises Lost."""
        protocol = self._protocol
        if protocol.news.is_set():
            return
        if not self.watches:
            await self._news(seconds)
            await self._done(protocol.simple_command("NOOP"))
            return
        idle = asyncio.ensure_future(protocol.idle())
        begun = asyncio.ensure_future(protocol.wait_for_idle_response())
        try:
            await asyncio.wait({idle, begun}, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if not begun.done():
                raise Lost("the server does not answer IDLE")
            await self._news(seconds)
            protocol.idle_done()
            await self._done(idle)
        finally:
            begun.cancel()
            idle.cancel()
            await asyncio.gather(begun, idle, return_exceptions=True)
            protocol.idle_queue = asyncio.Queue()  # the library keeps all it is told for a reader that we are not

    async def _news(self, seconds: float) -> None:
        """Until there is mail, the connection ends or the time is over."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._protocol.news, self._protocol.lost)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        if self._protocol.lost.is_set():
            raise Lost("the connection ended")

    async def close(self) -> None:
        """Say goodbye where the server still listens, and hang up."""
        protocol = self._protocol
        if protocol.transport is not None and not protocol.lost.is_set():
            try:
                protocol.transport.write(b"bye LOGOUT\r\n")
            finally:
                protocol.transport.close()
        if protocol.greeted.done() and not protocol.greeted.cancelled():
            protocol.greeted.exception()  # seen: whoever opened has been told
        else:
            protocol.greeted.cancel()

    async def _fetch(self, uids: Iterable[int], items: str, *, header: bool = False) -> list[Listed]:
        command = library.Command(
            "FETCH",
            self._protocol.new_tag(),
            sequence_set(uids),
            items,
            prefix="UID",
            loop=self._protocol.loop,
            timeout=self._timeout,
        )
        answer = await self._answered(self._protocol.execute(command), timeout=None)
        if answer.result != "OK":
            raise Declined(f"FETCH: {_words(answer)}")
        return _mails(answer.lines[:-1], header=header)

    async def _lines(self, command: Any) -> list[bytes]:
        answer = await self._answered(command)
        if answer.result != "OK":
            raise Declined(_words(answer))
        return [bytes(line) for line in answer.lines]

    async def _done(self, command: Any) -> None:
        await self._lines(command)

    async def _answered(self, command: Any, timeout: float | None = -1) -> Any:
        """The answer to a command. The library's errors all mean that this connection is of no use any more."""
        try:
            async with asyncio.timeout(self._timeout if timeout == -1 else timeout):
                return await command
        except (library.AioImapException, TimeoutError, OSError) as error:
            self._protocol._fail("given up")
            raise Lost(f"the IMAP connection broke: {type(error).__name__}") from error


def _words(answer: Any) -> str:
    """The server's words on a refusal, shortened: they are shown to operators."""
    last = bytes(answer.lines[-1]) if answer.lines else b""
    return f"{answer.result} {last[:120].decode('ascii', 'replace')}"


def _selected(text: bytes) -> Selected:
    validity = re.search(rb"UIDVALIDITY (\d+)", text)
    following = re.search(rb"UIDNEXT (\d+)", text)
    if validity is None or following is None:
        raise Declined("the server does not number its mails (no UIDVALIDITY or UIDNEXT)")
    return Selected(validity=int(validity.group(1)), next_uid=int(following.group(1)))


def _mails(lines: list[Any], *, header: bool) -> list[Listed]:
    """The answers to a FETCH: a line, and for each literal its bytes and the rest of the line."""
    found: list[Listed] = []
    text, literal = b"", None
    for line in [*lines, b"0 FETCH ("]:
        if isinstance(line, bytearray):
            literal = line
        elif re.match(rb"\d+ FETCH \(", line):
            if (uid := _UID.search(text)) is not None:
                found.append(_listed(int(uid.group(1)), text, literal, header=header))
            text, literal = line, None
        else:
            text += b" " + line
    return found


def _listed(uid: int, text: bytes, literal: bytearray | None, *, header: bool) -> Listed:
    size, date = _SIZE.search(text), _DATE.search(text)
    data = bytes(literal) if literal is not None else None
    return Listed(
        uid=uid,
        size=int(size.group(1)) if size else 0,
        at=_seconds(date.group(1).decode("ascii", "replace")) if date else 0,
        header=(data or b"") if header else b"",
        body=None if header else data,
    )


def _seconds(date: str) -> int:
    try:
        return int(parsedate_to_datetime(date.strip().replace("-", " ", 2)).timestamp())
    except (ValueError, OverflowError):
        return 0


def mailbox_name(folder: str) -> str:
    """The folder's name in modified UTF-7 (RFC 3501 section 5.1.3), quoted."""
    out: list[str] = []
    for piece in re.split(r"([^\x20-\x7e]+)", folder):
        if piece and not piece.isascii():
            # RFC 3501: base64 of UTF-16, with "," for "/", without padding, between "&" and "-".
            out.append("&" + base64.b64encode(piece.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-")
        else:
            out.append(piece.replace("&", "&-"))
    quoted: str = library.quoted("".join(out))
    return quoted
