"""One IMAP connection, in our words. With `protocol` the only importer of aioimaplib (GPL-3.0, `omnibus[imap]`)."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Iterable
from typing import Any

from aioimaplib import aioimaplib as library

from connectors.email.imap import answers
from connectors.email.imap.answers import Listed, Selected, Since
from connectors.email.imap.failures import Declined, LoginRefused, Lost
from connectors.email.imap.protocol import LOST, Protocol
from connectors.email.imap.uids import bounds_of, sequence_set, written
from connectors.email.settings import ImapSettings
from omnibus.errors import Misconfigured, TryAgain

_MAX_SET = 4_000
"""Characters of a set of UIDs in a command: servers take lines of 8,000 at least (RFC 7162 section 4)."""


class Connection:
    """A connection to one mailbox. Every method raises Lost when it breaks, and Declined when the server says no."""

    def __init__(self, settings: ImapSettings) -> None:
        self._settings = settings
        self._timeout = settings.timeout.total_seconds()
        self._protocol = Protocol(asyncio.get_running_loop(), settings.max_size + 1024 * 1024)
        self._resyncs = False
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
        if {"ENABLE", "QRESYNC"} <= protocol.capabilities:
            # RFC 7162 section 3.2.3: from now on it may be asked what became of mails.
            self._resyncs = (await self._answered(protocol.simple_command("ENABLE", "QRESYNC"))).result == "OK"

    async def select(self, folder: str, since: Since | None = None) -> Selected:
        """Open a folder for reading and changing; with `since`, also ask what became of mails since then.

        A server without QRESYNC is not asked, and `vanished` and `changed` stay empty.
        """
        self.selected = None
        self._protocol.news.clear()
        if since is not None and self._resyncs:
            try:
                return await self._selected(folder, _resync(since))
            except Declined:
                self._resyncs = False  # it offers what it does not do; whether there is such a folder is asked below
        return await self._selected(folder)

    async def _selected(self, folder: str, asked: str = "") -> Selected:
        lines = await self._lines(self._protocol.select(mailbox_name(folder) + asked))
        self.selected = folder
        return _numbered(lines)

    async def status(self, folder: str) -> Selected:
        """The same of a folder that is not open, without opening it."""
        command = self._protocol.simple_command("STATUS", mailbox_name(folder), "(UIDNEXT UIDVALIDITY)")
        return _numbered(await self._lines(command))

    async def search(self, criteria: str) -> list[int]:
        """The UIDs that match, ascending."""
        self._protocol.news.clear()
        lines = await self._lines(self._protocol.search(criteria, charset=None, by_uid=True))
        return sorted(int(word) for line in lines[:-1] for word in line.split() if word.isdigit())

    async def listed(self, uids: Iterable[int], *, header: bool = False) -> list[Listed]:
        """Size and arrival of mails; with `header`, the fields they are known by too."""
        field = " BODY.PEEK[HEADER.FIELDS (MESSAGE-ID FROM DATE)]" if header else ""
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
            "FETCH", self._protocol.new_tag(), sequence_set(uids), items, prefix="UID", loop=self._protocol.loop
        )
        answer = await self._answered(self._protocol.execute(command))
        if answer.result != "OK":
            raise Declined(f"FETCH: {_words(answer)}")
        return answers.mails(answer.lines[:-1], header=header)

    async def _lines(self, command: Any) -> list[bytes]:
        answer = await self._answered(command)
        if answer.result != "OK":
            raise Declined(_words(answer))
        return [bytes(line) for line in answer.lines]

    async def _done(self, command: Any) -> None:
        await self._lines(command)

    async def _answered(self, command: Any) -> Any:
        """The answer to a command, however long it is in coming: only silence counts.

        The library's errors all mean that this connection is of no use any more.
        """
        protocol, answer = self._protocol, asyncio.ensure_future(command)
        try:
            while not answer.done():
                heard = protocol.chunks
                await asyncio.wait([answer], timeout=self._timeout)
                if not answer.done() and protocol.chunks == heard:
                    raise Lost("the IMAP server is silent")
            found = answer.result()
        except (library.AioImapException, OSError) as error:
            protocol.fail("given up")
            raise Lost(f"the IMAP connection broke: {type(error).__name__}") from error
        except Lost:
            protocol.fail("given up")
            raise
        finally:
            answer.cancel()
        if getattr(found, "result", None) == LOST:
            raise Lost("the IMAP connection broke")
        return found


def _numbered(lines: list[bytes]) -> Selected:
    found = answers.selected(lines)
    if found is None:
        raise Declined("the server does not number its mails (no UIDVALIDITY or UIDNEXT)")
    return found


def _resync(since: Since) -> str:
    """The parameter of SELECT (RFC 7162 section 3.2.5.2)."""
    known = written(since.known)
    if len(known) > _MAX_SET:
        known = written([bounds_of(since.known)])
    return f" (QRESYNC ({since.validity} {since.modseq} {known}))"


def _words(answer: Any) -> str:
    """The server's words on a refusal, shortened: they are shown to operators."""
    last = bytes(answer.lines[-1]) if answer.lines else b""
    return f"{answer.result} {last[:120].decode('ascii', 'replace')}"


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
