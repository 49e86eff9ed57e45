"""Mails reach a real SMTP server over one connection, and its answers decide what comes next."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes
from email.message import Message as Mail
from email.policy import default
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from omnibus.blobs import blob_uri
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.model import codec
from omnibus.model.content import Attachment, AttachmentRef
from omnibus.model.entities import Controller
from omnibus.model.events import ConversationAssigned
from sinks.mail.deliver import MailSink
from sinks.mail.sink import MailSettings

if TYPE_CHECKING:
    from tests.sinks.conftest import Installation

PASSWORD = "a password for tests"


class Mailbox:
    """A mail server that keeps what it gets and answers as it is told."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[bytes] = []
        self.connections = 0
        self.open: list[SMTP] = []
        self.data_answers: list[str] = []
        self.rcpt_answers: list[str] = []
        self.ca_file: Path | None = None

    def session(self, tls: ssl.SSLContext | None) -> SMTP:
        self.connections += 1
        server = SMTP(
            self,
            enable_SMTPUTF8=False,
            tls_context=tls,
            auth_require_tls=False,
            authenticator=self.authenticate,
            loop=asyncio.get_running_loop(),
        )
        self.open.append(server)
        return server

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=good, handled=True) if good else AuthResult(success=False, handled=False)

    async def handle_RCPT(  # noqa: N802 - the name aiosmtpd looks for
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.rcpt_answers.pop(0) if self.rcpt_answers else "250 OK"
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        answer = self.data_answers.pop(0) if self.data_answers else "250 OK"
        if answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(envelope.content)
        return answer

    @property
    def parsed(self) -> list[Mail]:
        return [message_from_bytes(mail, policy=default) for mail in self.mails]


async def serve(mailbox: Mailbox, *, implicit_tls: ssl.SSLContext | None, starttls: ssl.SSLContext | None) -> Any:
    server = await asyncio.get_running_loop().create_server(
        lambda: mailbox.session(starttls), "127.0.0.1", 0, ssl=implicit_tls
    )
    mailbox.port = server.sockets[0].getsockname()[1]
    return server


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    made = Mailbox()
    server = await serve(made, implicit_tls=None, starttls=None)
    yield made
    server.close()
    for session in made.open:
        if session.transport is not None:
            session.transport.close()
    await server.wait_closed()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody but its own file trusts, made by the openssl program."""
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext {names}"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return folder


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


class Sinks:
    """Makes mail sinks and closes them at the end."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.made: list[MailSink] = []

    def to(self, mailbox: Mailbox, **more: Any) -> MailSink:
        given: dict[str, Any] = {
            "host": "localhost",
            "port": mailbox.port,
            "tls": "none",
            "sender": "omnibus@example.com",
            "to": "tickets@example.com",
            **more,
        }
        self.made.append(MailSink(self._installation.tools(MailSettings(**given))))
        return self.made[-1]

    async def deliver(self, sink: MailSink, event: codec.Event, topic: str = "omnibus.queue.general") -> None:
        await sink.deliver([self._installation.envelope(event, topic)])


@pytest.fixture
async def sinks(installation: Installation) -> AsyncIterator[Sinks]:
    made = Sinks(installation)
    yield made
    for sink in made.made:
        await sink.close()


async def test_mails_arrive_over_one_connection(installation: Installation, mailbox: Mailbox, sinks: Sinks) -> None:
    sink = sinks.to(mailbox)
    for number in (1, 2, 3):
        await sinks.deliver(sink, installation.received(number))
    assert [mail["Message-ID"] for mail in mailbox.parsed] == [f"<evt_conv_1_{n}@example.com>" for n in (1, 2, 3)]
    assert mailbox.connections == 1


async def test_a_connection_the_server_closed_is_made_again(
    installation: Installation, mailbox: Mailbox, sinks: Sinks
) -> None:
    sink = sinks.to(mailbox)
    await sinks.deliver(sink, installation.received(1))
    transport = mailbox.open[0].transport
    assert transport is not None
    transport.close()
    await sinks.deliver(sink, installation.received(2))
    assert (len(mailbox.mails), mailbox.connections) == (2, 2)


async def test_an_idle_connection_is_closed(installation: Installation, mailbox: Mailbox, sinks: Sinks) -> None:
    sink = sinks.to(mailbox, idle_close=timedelta(milliseconds=1))
    await sinks.deliver(sink, installation.received(1))

    async def is_open() -> bool:
        return mailbox.open[0].transport is not None and not mailbox.open[0].transport.is_closing()

    await installation.until(is_open, lambda open_now: not open_now)
    await sinks.deliver(sink, installation.received(2))
    assert len(mailbox.mails) == 2


async def test_stored_files_go_along_up_to_the_limit(
    installation: Installation, mailbox: Mailbox, sinks: Sinks
) -> None:
    files = [await stored(installation, name, size) for name, size in (("a.txt", 600), ("b.txt", 600), ("c.txt", 300))]
    missing = Attachment(
        id="att_d",
        mime="text/plain",
        state="stored",
        size=1,
        file_name="d.txt",
        ref=AttachmentRef(scheme="object", uri=blob_uri(b"never stored")),
    )
    sink = sinks.to(mailbox, max_attachment_bytes=1_000)
    await sinks.deliver(sink, installation.received(1, attachments=(*files, missing)))
    (mail,) = mailbox.parsed
    assert [part.get_filename() for part in mail.walk() if part.get_filename()] == ["a.txt", "c.txt"]
    assert "b.txt (text/plain, 600B, not attached)" in str(mail.as_bytes())


async def test_an_assignment_is_no_news_to_who_reads_all_events(
    installation: Installation, mailbox: Mailbox, sinks: Sinks
) -> None:
    data = ConversationAssigned(conversation=installation.conversation(), to=Controller(type="queue", id="general"))
    event = installation.event(data, "conversation.assigned", id="evt_a")
    sink = sinks.to(mailbox)
    await sinks.deliver(sink, event, "omnibus.events")
    assert mailbox.mails == []
    await sinks.deliver(sink, event, "omnibus.queue.general")
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("421 going down", TryAgain),
        ("450 try later", TryAgain),
        ("452 full", TryAgain),
        ("550 no such mailbox", Refused),
        ("552 too large", Refused),
        ("554 no", Refused),
    ],
)
@pytest.mark.parametrize("place", ["rcpt_answers", "data_answers"])
async def test_the_servers_answer_decides(
    installation: Installation, mailbox: Mailbox, sinks: Sinks, answer: str, error: type[Exception], place: str
) -> None:
    getattr(mailbox, place).append(answer)
    sink = sinks.to(mailbox)
    with pytest.raises(error, match=answer[:3]):
        await sinks.deliver(sink, installation.received(1))
    await sinks.deliver(sink, installation.received(2))
    assert len(mailbox.mails) == 1


async def test_a_good_login_is_accepted_and_a_bad_one_pauses(
    installation: Installation, mailbox: Mailbox, sinks: Sinks
) -> None:
    await sinks.deliver(sinks.to(mailbox, username="omnibus", password=Secret(PASSWORD)), installation.received(1))
    with pytest.raises(Misconfigured, match="password") as caught:
        await sinks.deliver(
            sinks.to(mailbox, username="omnibus", password=Secret("a wrong password")), installation.received(2)
        )
    assert "wrong" not in str(caught.value)
    assert len(mailbox.mails) == 1


async def test_a_server_that_is_down_is_a_passing_fault(
    installation: Installation, sinks: Sinks, unused_port: int
) -> None:
    nobody = Mailbox()
    nobody.port = unused_port
    with pytest.raises(TryAgain):
        await sinks.deliver(sinks.to(nobody), installation.received(1))


@pytest.mark.parametrize("tls", ["tls", "starttls"])
async def test_connections_are_protected_and_the_certificate_is_checked(
    installation: Installation, sinks: Sinks, certificate: Path, tls: str
) -> None:
    mailbox, context = Mailbox(), server_tls(certificate)
    server = await serve(
        mailbox, implicit_tls=context if tls == "tls" else None, starttls=context if tls == "starttls" else None
    )
    try:
        trusting = sinks.to(mailbox, tls=tls, ca_file=certificate / "cert.pem")
        await sinks.deliver(trusting, installation.received(1))
        await trusting.close()
        assert len(mailbox.mails) == 1
        with pytest.raises(Misconfigured, match="not trusted"):
            await sinks.deliver(sinks.to(mailbox, tls=tls), installation.received(2))
    finally:
        server.close()
        await server.wait_closed()


async def test_a_server_without_starttls_is_a_setting_to_correct(
    installation: Installation, mailbox: Mailbox, sinks: Sinks
) -> None:
    with pytest.raises(Misconfigured, match="tls"):
        await sinks.deliver(sinks.to(mailbox, tls="starttls"), installation.received(1))


def test_a_password_is_not_sent_in_the_open(sinks: Sinks) -> None:
    with pytest.raises(Misconfigured, match="unprotected"):
        sinks.to(Mailbox(), host="smtp.example.com", password=Secret(PASSWORD))


async def test_a_queue_is_forwarded_into_the_mailbox(installation: Installation, mailbox: Mailbox) -> None:
    mailbox.data_answers.append("451 greylisted")
    yaml = f"""
        sinks:
          tickets:
            type: mail
            from: [queue:general]
            host: localhost
            port: {mailbox.port}
            tls: none
            sender: omnibus@example.com
            to: tickets@example.com
    """
    async with installation.sinks(yaml):
        events = [installation.received(number) for number in (1, 2)]
        await installation.publish(*events, topic=installation.topics.queue("general"))
        await installation.caught_up("sink.tickets")
    assert [mail["Message-ID"] for mail in mailbox.parsed] == [f"<evt_conv_1_{n}@example.com>" for n in (1, 2)]


async def stored(installation: Installation, name: str, size: int) -> Attachment:
    data = name[:1].encode() * size
    await installation.blobs.put(blob_uri(data), data)
    return Attachment(
        id=f"att_{name}",
        mime="text/plain",
        state="stored",
        size=size,
        file_name=name,
        ref=AttachmentRef(scheme="object", uri=blob_uri(data)),
    )


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
