"""Connections to the submission server: few, reused, and never trusted after a failure."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiosmtplib

from connectors.email.settings import OutgoingSettings
from omnibus import clock
from omnibus.errors import Misconfigured

MAX_IDLE_MS = 30_000
"""Servers hang up on silent clients; most wait a minute or more."""
MAX_MAILS = 100
"""Mails through one connection: many servers count, and refuse the next."""


@dataclass
class _Open:
    client: aiosmtplib.SMTP
    used_ms: int
    mails: int = 0


class Pool:
    """At most `connections` at a time; the caller waits for one to come free."""

    def __init__(self, outgoing: OutgoingSettings) -> None:
        self._outgoing = outgoing
        self._slots = asyncio.Semaphore(outgoing.connections)
        self._idle: list[_Open] = []
        self._tls = ssl.create_default_context() if outgoing.tls != "none" else None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection that is logged in. It is closed when the block raises anything but a refusal of the mail."""
        async with self._slots:
            opened = await self._fresh()
            keep = False
            try:
                yield opened.client
                keep = True
            except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused):
                keep = True
                raise
            finally:
                await self._give_back(opened, keep=keep)

    async def close(self) -> None:
        """Say goodbye on every idle connection."""
        while self._idle:
            await _quit(self._idle.pop().client)

    async def _fresh(self) -> _Open:
        while self._idle:
            opened = self._idle.pop()
            if opened.client.is_connected and clock.now_ms() - opened.used_ms < MAX_IDLE_MS:
                return opened
            await _quit(opened.client)
        return _Open(await self._connect(), clock.now_ms())

    async def _connect(self) -> aiosmtplib.SMTP:
        outgoing = self._outgoing
        client = aiosmtplib.SMTP(
            hostname=outgoing.host,
            port=outgoing.port,
            username=outgoing.user,
            password=outgoing.password.reveal() if outgoing.password is not None else None,
            timeout=outgoing.timeout.total_seconds(),
            use_tls=outgoing.tls == "tls",
            start_tls=outgoing.tls == "starttls",
            tls_context=self._tls,
        )
        try:
            await client.connect()
        except ssl.SSLCertVerificationError as error:
            raise Misconfigured(
                "outgoing.host", f"the server's certificate is not valid: {error.verify_message}"
            ) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Misconfigured("outgoing.password", f"the server refused the login ({error.code})") from error
        except aiosmtplib.SMTPException as error:
            # The library raises the bare class where the server lacks STARTTLS or every login we know.
            if type(error) in (aiosmtplib.SMTPException, aiosmtplib.SMTPNotSupported):
                raise Misconfigured("outgoing.tls", f"the server offers no such thing: {error.message}") from error
            raise
        return client

    async def _give_back(self, opened: _Open, *, keep: bool) -> None:
        opened.mails += 1
        opened.used_ms = clock.now_ms()
        if keep and opened.client.is_connected and opened.mails < MAX_MAILS:
            self._idle.append(opened)
        else:
            opened.client.close()


async def _quit(client: aiosmtplib.SMTP) -> None:
    try:
        if client.is_connected:
            await client.quit()
    except (aiosmtplib.SMTPException, OSError):
        client.close()  # it wanted to end anyway
