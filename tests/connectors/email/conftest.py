"""A mailbox for tests: an account with its tools, a listener on a free port, and a mail server that takes answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from connectors.email.channel import CHANNEL
from connectors.email.mapping import map_mail
from connectors.email.receive import SmtpListener
from connectors.email.send import EmailSender
from connectors.email.settings import EmailSettings, ListenSettings, OutgoingSettings
from omnibus.blobs import BlobStore, open_blobs
from omnibus.bus.port import Out
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.events import AnyEvent, Message
from omnibus.channel.receive import ReceiverTools
from omnibus.channel.send import SenderTools
from omnibus.model.raw import RawEvent

RECEIVED_AT = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


def _account(settings: EmailSettings, name: str) -> Account:
    return Account(name=name, channel=CHANNEL, settings=settings, inactivity=timedelta(days=14))


class Mailbox:
    """Receiver tools that remember what was published; `refusal` is raised instead when it is set."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.published: list[RawEvent] = []
        self.refusal: Exception | None = None
        self.states: list[str] = []

    async def publish(self, raws: Sequence[RawEvent], also: Sequence[Out] = ()) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.published.extend(raws)

    def status(self, state: Literal["ok", "degraded", "disconnected"], reason: str = "") -> None:
        self.states.append(state)


@pytest.fixture
def mailbox() -> Callable[..., Mailbox]:
    """`mailbox("help@example.com", max_size=...)`: an account that listens on a free port."""

    def make(*addresses: str, name: str = "support-mail", **listen: Any) -> Mailbox:
        smtp = ListenSettings(**{"port": 0, **listen})
        return Mailbox(_account(EmailSettings(addresses=addresses or ("help@example.com",), smtp=smtp), name))

    return make


@pytest.fixture
def listening() -> Callable[..., AbstractAsyncContextManager[int]]:
    """`async with listening(mailbox) as port`: a running listener."""

    @asynccontextmanager
    async def listen(*mailboxes: Mailbox) -> AsyncIterator[int]:
        listener = SmtpListener(cast("Sequence[ReceiverTools]", mailboxes))
        running = asyncio.create_task(listener.run())
        ready = asyncio.create_task(listener.ready.wait())
        try:
            await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            yield listener.ports[0]
        finally:
            ready.cancel()
            running.cancel()
            await asyncio.gather(running, ready, return_exceptions=True)

    return listen


@pytest.fixture
def mapped() -> Callable[..., list[AnyEvent]]:
    """`mapped(mail, rcpt_to=...)`: the events of a mail as the listener stores it."""

    def events(body: bytes | str, **attributes: str) -> list[AnyEvent]:
        data = body.encode() if isinstance(body, str) else body
        raw = RawEvent(
            id="raw_00000000000000000000000000000001",
            channel="email",
            account="support-mail",
            received_at=RECEIVED_AT,
            body=data,
            transport="smtp",
            attributes={"own": "help@example.com", "mail_from": "ana@example.org", **attributes},
        )
        return list(map_mail(raw))

    return events


@pytest.fixture
def message_of(mapped: Callable[..., list[AnyEvent]]) -> Callable[..., Message]:
    """The one message that a mail is."""

    def one(body: bytes | str, **attributes: str) -> Message:
        [event] = mapped(body, **attributes)
        assert isinstance(event, Message)
        return event

    return one


class MailServer:
    """The server our answers go to. `answers` are given to RCPT and DATA in turn; without any it says yes."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.rcpt_answers: list[str] = []
        self.data_answers: list[str] = []
        self.connections = 0
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.rcpt_answers.pop(0) if self.rcpt_answers else "250 Ok"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        answer = self.data_answers.pop(0) if self.data_answers else "250 Ok"
        if answer.startswith("250"):
            self.mails.append(envelope)
        return answer

    def connection(self) -> SMTP:
        self.connections += 1
        loop = asyncio.get_running_loop()
        return SMTP(self, loop=loop, enable_SMTPUTF8=True, hostname="mx", authenticator=_login, auth_require_tls=False)


def _login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=data.password == b"invented-password", handled=False)


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    """A real server on a free port."""
    state = MailServer()
    server = await asyncio.get_running_loop().create_server(state.connection, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    yield state
    server.close()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return open_blobs(f"file:{tmp_path / 'blobs'}")


@pytest.fixture
async def sender(mail_server: MailServer, blobs: BlobStore) -> AsyncIterator[Callable[..., EmailSender]]:
    """`sender(name=...)`: the sender of an account whose answers go to `mail_server`."""
    made: list[EmailSender] = []

    def make(**outgoing: Any) -> EmailSender:
        server = OutgoingSettings(
            **{
                "host": "127.0.0.1",
                "port": mail_server.port,
                "tls": "none",
                "timeout": timedelta(seconds=5),
                **outgoing,
            }
        )
        settings = EmailSettings(addresses=("help@example.com",), outgoing=server)
        tools = SenderTools(
            account=_account(settings, "support-mail"), http=cast(Any, None), blobs=blobs, topics=Topics()
        )
        made.append(EmailSender(tools))
        return made[-1]

    yield make
    for each in made:
        await each.close()
