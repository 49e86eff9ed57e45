"""The mail server: one connection, kept while there is work, and its answers named by what comes next."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage

import aiosmtplib

from omnibus.errors import Misconfigured, OmnibusError, Refused, TryAgain
from sinks.mail.sink import MailSettings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CODES = {552: "MEDIA_TOO_LARGE", 550: "RECIPIENT_NOT_REACHABLE", 551: "RECIPIENT_NOT_REACHABLE"}
"""Failure codes of SMTP replies (RFC 5321 section 4.2.3)."""
_NOT_OFFERED = frozenset({aiosmtplib.SMTPNotSupported, aiosmtplib.SMTPException})
"""The library raises its base class itself when the server lacks STARTTLS or AUTH."""

_LOGIN = frozenset({530, 534, 535, 538})
"""Replies about the login: required, too weak, wrong, to be encrypted (RFC 4954 section 6)."""


class MailServer:
    """Sends mails one after the other over one connection, which closes when nothing was sent for a while."""

    def __init__(self, settings: MailSettings) -> None:
        if settings.password is not None and settings.tls == "none" and settings.host not in _LOOPBACK:
            raise Misconfigured("tls", "a password is not sent over an unprotected connection")
        self._settings = settings
        self._tls = _tls_of(settings)
        self._lock = asyncio.Lock()
        self._client: aiosmtplib.SMTP | None = None
        self._idle: asyncio.Task[None] | None = None
        self._uses = 0

    async def send(self, mail: EmailMessage) -> None:
        """Returns when the server has taken the mail. Raises TryAgain, Refused, Misconfigured."""
        await self._in_turn(lambda: self._send(mail))

    async def probe(self) -> None:
        """Connect and log in. Raises as `send` does."""
        await self._in_turn(self._connect)

    async def _in_turn(self, dialogue: Callable[[], Awaitable[object]]) -> None:
        async with self._lock:
            self._uses += 1
            try:
                await dialogue()
            except (aiosmtplib.SMTPException, OSError) as error:
                self._drop()
                raise explained(error) from error
            except BaseException:
                self._drop()  # cancelled in the middle of a dialogue: the next mail must begin a new one
                raise

    async def close(self) -> None:
        """Say goodbye to the server."""
        if self._idle is not None:
            self._idle.cancel()
            await asyncio.gather(self._idle, return_exceptions=True)
            self._idle = None
        async with self._lock:
            await self._quit()

    async def _send(self, mail: EmailMessage) -> None:
        if self._client is not None:
            try:
                await self._client.send_message(mail)
            except aiosmtplib.SMTPServerDisconnected:
                self._drop()  # servers hang up when they please; the mail has not been judged
            else:
                return
        client = await self._connect()
        await client.send_message(mail)

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=None if settings.password is None else settings.password.reveal(),
            timeout=settings.timeout.total_seconds(),
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=self._tls,
        )
        self._client = client
        await client.connect()
        if self._idle is None or self._idle.done():
            self._idle = asyncio.create_task(self._close_when_idle(), name="mail: close when idle")
        return client

    async def _close_when_idle(self) -> None:
        while self._client is not None:
            uses = self._uses
            await asyncio.sleep(self._settings.idle_close.total_seconds())
            async with self._lock:
                if uses == self._uses:
                    await self._quit()

    async def _quit(self) -> None:
        if self._client is not None and self._client.is_connected:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await self._client.quit()
        self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def explained(error: Exception) -> OmnibusError:
    """What happens next: 4xx passes, 5xx is final (RFC 5321 section 4.2.1), a refused login needs the operator."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            return explained(error.recipients[0]) if error.recipients else TryAgain("the recipient was refused")
        case aiosmtplib.SMTPResponseException() if error.code in _LOGIN:
            return Misconfigured("password", f"the mail server refuses the login ({error.code})")
        case aiosmtplib.SMTPConnectResponseError() | aiosmtplib.SMTPHeloError():
            return TryAgain(f"the mail server takes no mails just now ({error.code})")
        case aiosmtplib.SMTPException() if type(error) in _NOT_OFFERED:
            return Misconfigured("tls, username", f"the mail server does not offer what they ask for: {error}")
        case aiosmtplib.SMTPResponseException() if error.code >= 500:
            code = _CODES.get(error.code, "CHANNEL_FAILURE")
            return Refused(code, f"the mail server refuses the mail ({error.code})", native_code=str(error.code))
        case aiosmtplib.SMTPResponseException():
            return TryAgain(f"the mail server asks to wait ({error.code})")
        case _ if _is_untrusted(error):
            return Misconfigured("tls", "the certificate of the mail server is not trusted")
        case _:
            return TryAgain(f"the mail server does not answer: {type(error).__name__}")


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _tls_of(settings: MailSettings) -> ssl.SSLContext | None:
    if settings.tls == "none":
        return None
    try:
        return ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured("ca_file", f"cannot be read: {error}") from error
