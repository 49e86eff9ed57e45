"""Mail by SMTP and LMTP: stored as it came, and only then answered with 250."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from connectors.email.addressing import without_tag
from connectors.email.settings import EmailSettings, ListenSettings
from omnibus import clock
from omnibus.channel.receive import ReceiverTools
from omnibus.errors import Misconfigured, Overloaded, PublishRejected, PublishUnknown, TryAgain
from omnibus.model import ids
from omnibus.model.raw import RawEvent

MAX_RECIPIENTS = 100
"""RFC 5321 section 4.5.3.1.8: a server must take a hundred recipients in one transaction."""
_LISTED_RECIPIENTS = 2_000
_LINE_BYTES = 64 * 1024

log = structlog.get_logger("omnibus.connectors.email")
# The library logs mail line by line at DEBUG and peers at INFO: message text has no place in logs.
logging.getLogger("mail.log").setLevel(logging.WARNING)


class SmtpListener:
    """Listens for every account with an `smtp` section; one socket for each host and port among them.

    Runs until cancelled. Raises Misconfigured when accounts disagree about a shared listener, when two accounts claim
    one address, or when a certificate cannot be used; TryAgain while the port is taken.
    """

    shared = True

    def __init__(self, tools: Sequence[ReceiverTools]) -> None:
        self._tools = [each for each in tools if _settings(each).smtp is not None]
        self.ready = asyncio.Event()
        self.ports: list[int] = []
        """The ports in use, once `ready` is set."""

    async def run(self) -> None:
        desks = [_Desk(listen, tools) for listen, tools in _by_socket(self._tools).items()]
        try:
            self.ports = [await desk.open() for desk in desks]
            self._report_ok()
            self.ready.set()
            await asyncio.Event().wait()
        finally:
            for desk in desks:
                desk.close()

    def _report_ok(self) -> None:
        for tools in self._tools:
            tools.status("ok")


def _settings(tools: ReceiverTools) -> EmailSettings:
    settings: EmailSettings = tools.account.settings
    return settings


def _by_socket(tools: Iterable[ReceiverTools]) -> dict[ListenSettings, list[ReceiverTools]]:
    """The accounts of each listener. Raises Misconfigured when one socket is described in two ways."""
    described: dict[tuple[str, int], ListenSettings] = {}
    accounts: dict[ListenSettings, list[ReceiverTools]] = {}
    for each in tools:
        listen = _settings(each).smtp
        if listen is None:
            continue
        first = described.setdefault((listen.host, listen.port), listen)
        if first != listen:
            raise Misconfigured(
                f"channels.{each.account.name}.smtp",
                f"another account listens on {listen.host}:{listen.port} with other settings; make them equal",
            )
        accounts.setdefault(first, []).append(each)
    return accounts


class _Desk:
    """One listening socket: whom it takes mail for, and its connections."""

    def __init__(self, listen: ListenSettings, tools: Sequence[ReceiverTools]) -> None:
        self.listen = listen
        self.mailboxes = _mailboxes(tools)
        self.connections: set[_Connection] = set()
        self.handler = _Handler(self)
        self._tls = _tls_context(listen)
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        """Listen; returns the port. Raises TryAgain while somebody else has it."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._connection, self.listen.host, self.listen.port)
        except OSError as error:
            why = os.strerror(error.errno).lower() if error.errno else str(error)
            raise TryAgain(f"cannot listen on {self.listen.host}:{self.listen.port}: {why}") from error
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Take no more connections and close those there are: a mail without its 250 comes again."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            if connection.transport is not None:
                connection.transport.close()

    def _connection(self) -> SMTP:
        kind = _LmtpConnection if self.listen.lmtp else _Connection
        return kind(self)

    @property
    def server_options(self) -> dict[str, Any]:
        return {
            "data_size_limit": self.listen.max_size,
            "enable_SMTPUTF8": True,
            "hostname": "omnibus",
            "ident": "Omnibus",
            "tls_context": self._tls,
            "require_starttls": self.listen.require_tls,
            "timeout": self.listen.timeout.total_seconds(),
            "command_call_limit": dict.fromkeys(("MAIL", "RCPT", "DATA", "RSET"), 10_000) | {"*": 100},
            "auth_exclude_mechanism": ["LOGIN", "PLAIN"],
        }


def _mailboxes(tools: Sequence[ReceiverTools]) -> dict[str, ReceiverTools]:
    found: dict[str, ReceiverTools] = {}
    for each in tools:
        for address in _settings(each).addresses:
            owner = found.setdefault(without_tag(address), each)
            if owner is not each:
                raise Misconfigured(
                    f"channels.{each.account.name}.addresses", f"{address} belongs to {owner.account.name} already"
                )
    return found


def _tls_context(listen: ListenSettings) -> ssl.SSLContext | None:
    if listen.tls_cert is None:
        if listen.require_tls:
            raise Misconfigured("smtp.require_tls", "needs tls_cert and tls_key")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(listen.tls_cert, listen.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured("smtp.tls_cert", f"certificate or key cannot be used: {error}") from error
    return context


class _Handler:
    """What the library asks during a transaction."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if without_tag(address) not in self._desk.mailboxes:
            return "550 5.1.1 No such mailbox here"
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802 - the library's name
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        recipients = _recipients_by_account(self._desk.mailboxes, envelope.rcpt_tos)
        verdicts: dict[str, str] = {}
        for tools, addresses in recipients:
            verdict = await _store(tools, _raw_event(tools, session, envelope, addresses))
            verdicts.update(dict.fromkeys(addresses, verdict))
        if self._desk.listen.lmtp:
            return "\r\n".join(verdicts[address] for address in envelope.rcpt_tos)
        # One answer for all: a failure means that the whole mail comes again, and ids make the copies one message.
        return next((verdict for verdict in verdicts.values() if not verdict.startswith("250")), "250 2.0.0 Ok: stored")

    async def handle_exception(self, error: Exception) -> str:
        # A fault of ours must never make the sender give up: the library's own answer would be 500.
        log.error("smtp.fault", error=type(error).__name__, exc_info=error)
        return "451 4.3.0 Internal fault, try again later"


def _recipients_by_account(
    mailboxes: dict[str, ReceiverTools], recipients: Iterable[str]
) -> list[tuple[ReceiverTools, list[str]]]:
    found: dict[str, tuple[ReceiverTools, list[str]]] = {}
    for address in recipients:
        tools = mailboxes[without_tag(address)]
        found.setdefault(tools.account.name, (tools, []))[1].append(address)
    return list(found.values())


def _raw_event(tools: ReceiverTools, session: Session, envelope: Envelope, recipients: list[str]) -> RawEvent:
    peer = session.peer
    host = str(peer[0]) if isinstance(peer, tuple) else None
    return RawEvent(
        id=ids.random_id("raw"),
        channel=tools.account.channel.name,
        account=tools.account.name,
        received_at=clock.now(),
        body=envelope.original_content or b"",
        transport="smtp",
        remote=host,
        attributes={
            "mail_from": envelope.mail_from or "",
            "rcpt_to": " ".join(recipients)[:_LISTED_RECIPIENTS],
            "helo": (session.host_name or "")[:255],
            **mapping_attributes(_settings(tools)),
        },
    )


def mapping_attributes(settings: EmailSettings) -> dict[str, str]:
    """A mapping sees the raw event only, and a replay must see what was ours when the mail came."""
    found = {"own": own_addresses(settings)}
    if settings.trusted_authserv:
        found["authserv"] = " ".join(settings.trusted_authserv).lower()
    if settings.follow_up_on_new_subject:
        found["follow_up"] = "subject"
    return found


def own_addresses(settings: EmailSettings) -> str:
    """The account's addresses, separated by blanks, as the mapping wants them."""
    sender = settings.outgoing.address if settings.outgoing else None
    return " ".join(dict.fromkeys(without_tag(each) for each in (*settings.addresses, *([sender] if sender else []))))


async def _store(tools: ReceiverTools, raw: RawEvent) -> str:
    try:
        await tools.publish([raw])
    except (Overloaded, TryAgain, PublishRejected, PublishUnknown):
        return "451 4.3.1 Busy, try again later"
    return "250 2.0.0 Ok: stored"


class _Connection(SMTP):
    """One client. The library's own DATA keeps an endless line in memory; this one keeps nothing beyond the limit."""

    line_length_limit = _LINE_BYTES

    def __init__(self, desk: _Desk) -> None:
        super().__init__(desk.handler, loop=asyncio.get_running_loop(), **desk.server_options)
        self._desk = desk

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._desk.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._desk.connections.discard(self)
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        if len(self._desk.connections) > self._desk.listen.max_connections:
            await self.push("421 4.3.2 Too many connections, try again later")
            self._writer.close()
            return
        await super()._handle_client()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - the library's name
        if await self.check_helo_needed():
            return
        envelope = self.envelope
        if envelope is None or self.session is None or not envelope.rcpt_tos:
            await self.push("503 5.5.1 Need RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._content()
        if content is None:
            refusal = "552 5.3.4 Message too large"
            await self.push("\r\n".join([refusal] * (len(envelope.rcpt_tos) if self._desk.listen.lmtp else 1)))
        else:
            envelope.content = envelope.original_content = content
            await self.push(await self._desk.handler.handle_DATA(self, self.session, envelope))
        self.envelope = self._create_envelope()

    async def _content(self) -> bytes | None:
        """The mail up to its lone dot, dots unstuffed; None when it is too large (it is read all the same)."""
        mail: BytesIO | None = BytesIO()  # gives its bytes away without a copy, and lines would take twice their size
        size = 0
        at_line_start = True
        while True:
            piece = await self._piece()
            if at_line_start and piece == b".\r\n":
                return None if mail is None else mail.getvalue()
            if at_line_start and piece.startswith(b"."):
                piece = piece[1:]
            at_line_start = piece.endswith(b"\r\n")
            size += len(piece)
            if mail is not None and size <= self._desk.listen.max_size:
                mail.write(piece)
            else:
                mail = None

    async def _piece(self) -> bytes:
        """A line with its end, or a bounded part of a line without one."""
        try:
            line: bytes = await self._reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as overrun:
            line = await self._reader.readexactly(max(1, overrun.consumed))
        return line


class _LmtpConnection(_Connection, LMTP):
    """The same in LMTP: LHLO, and one answer for each recipient (RFC 2033)."""
