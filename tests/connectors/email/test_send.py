"""Answers by mail, taken by a real mail server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from omnibus.blobs import BlobStore, blob_uri
from omnibus.channel.events import Message as Mapped
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured, OmnibusError, RecipientGone, Refused, TryAgain
from omnibus.model.content import Attachment, AttachmentRef, Choices, Email, File, MailAddress, Option, Text
from omnibus.model.entities import Author, ChannelIdentity, Conversation, InReplyTo, Message
from omnibus.model.events import Outbound

AT = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
CONVERSATION = "conv_0123456789abcdef0123456789abcdef"
MESSAGE = "msg_fedcba9876543210fedcba9876543210"
MESSAGE_ID = "omb.msg_fedcba9876543210fedcba9876543210.0123456789abcdef0123456789abcdef@example.com"

MakeSender = Callable[..., Any]


def outbound(content: Any = None, *, to: str = "ana@example.org", scheme: str = "email", **message: Any) -> Outbound:
    fields: dict[str, Any] = {
        "author": Author(type="agent", id="agent_1"),
        "in_reply_to": InReplyTo(native_id="t1@mail.example.org"),
        **message,
    }
    return Outbound(
        message=Message(
            id=MESSAGE,
            conversation_id=CONVERSATION,
            channel="email",
            channel_account_id="support-mail",
            direction="outbound",
            content=content or Text(text="It left yesterday."),
            status="queued",
            created_at=AT,
            received_at=AT,
            **fields,
        ),
        conversation=Conversation(
            id=CONVERSATION,
            channel="email",
            channel_account_id="support-mail",
            thread_key="msg_root",
            contact_id="cnt_1",
            status="open",
            subject="Where is my kettle?",
            first_inbound_at=AT,
        ),
        recipient=ChannelIdentity(
            id="idn_1", channel="email", scheme=scheme, value=to, normalized=to, display_name="Ana Souza"
        ),
    )


def parsed(data: bytes) -> EmailMessage:
    mail = message_from_bytes(data, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


async def test_an_answer_is_in_the_thread_it_answers(sender: MakeSender, mail_server: Any) -> None:
    sent = await sender(name="Example Support").send(outbound())

    [envelope] = mail_server.mails
    mail = parsed(envelope.content)
    assert sent.native_ids == (MESSAGE_ID,)
    assert (envelope.mail_from, envelope.rcpt_tos) == ("help@example.com", ["ana@example.org"])
    assert mail["Message-ID"] == f"<{MESSAGE_ID}>"
    assert mail["In-Reply-To"] == mail["References"] == "<t1@mail.example.org>"
    assert mail["Subject"] == "Re: Where is my kettle?"
    assert mail["From"] == "Example Support <help@example.com>"
    assert mail["To"] == "Ana Souza <ana@example.org>"
    assert mail["Reply-To"] == "help+c-0123456789abcdef0123456789abcdef@example.com"
    assert text_of(mail).strip() == "It left yesterday."
    assert "Auto-Submitted" not in mail


async def test_what_we_send_comes_back_to_its_conversation(
    sender: MakeSender, mail_server: Any, message_of: Callable[..., Mapped]
) -> None:
    """An answer to our answer finds the conversation by the address and by the Message-ID, each alone."""
    await sender().send(outbound())
    ours = parsed(mail_server.mails[0].content)

    by_address = message_of("From: ana@example.org\nSubject: x\n\nthanks", rcpt_to=str(ours["Reply-To"]))
    by_id = message_of(f"From: ana@example.org\nIn-Reply-To: {ours['Message-ID']}\n\nthanks")
    itself = message_of(mail_server.mails[0].content)

    assert by_address.links[0] == by_id.links[0] == f"c:{CONVERSATION}"
    assert itself.own


async def test_a_subject_is_answered_once(sender: MakeSender, mail_server: Any) -> None:
    content = Email(subject="RE: AW: Re: Kettle", text="x")
    await sender().send(outbound(content))

    assert parsed(mail_server.mails[0].content)["Subject"] == "Re: Kettle"


async def test_markdown_goes_as_text_and_as_html(sender: MakeSender, mail_server: Any) -> None:
    text = "Hello **Ana**,\n\n- one\n- two\n\nsee [the page](https://example.com/a?b=1&c=2) <script>"
    await sender().send(outbound(Text(text=text, format="markdown")))

    mail = parsed(mail_server.mails[0].content)
    html = text_of(mail, "html")
    assert text_of(mail).strip() == text
    assert "<strong>Ana</strong>" in html
    assert "<li>one</li><li>two</li>" in html
    assert '<a href="https://example.com/a?b=1&amp;c=2">the page</a> &lt;script&gt;' in html


async def test_html_has_a_plain_alternative(sender: MakeSender, mail_server: Any) -> None:
    await sender().send(outbound(Text(text="<p>Hello <b>Ana</b></p><p>Bye</p>", format="html")))

    mail = parsed(mail_server.mails[0].content)
    assert text_of(mail).strip() == "Hello Ana\n\nBye"
    assert "<b>Ana</b>" in text_of(mail, "html")


async def test_any_language_and_any_length_of_line_arrive(sender: MakeSender, mail_server: Any) -> None:
    text = "Olá 💧 " + "x" * 3_000 + "\n.\nヤカン"
    await sender().send(outbound(Text(text=text)))

    assert text_of(parsed(mail_server.mails[0].content)).strip() == text
    assert max(len(line) for line in mail_server.mails[0].content.splitlines()) < 998


async def test_files_come_from_the_blob_store(sender: MakeSender, mail_server: Any, blobs: BlobStore) -> None:
    data = b"%PDF-1.4 invented"
    await blobs.put(blob_uri(data), data)
    attachment = stored("invoice märz.pdf", "application/pdf", blob_uri(data))
    await sender().send(outbound(File(attachment_id="att_1", caption="here"), attachments=(attachment,)))

    mail = parsed(mail_server.mails[0].content)
    [file] = mail.iter_attachments()
    assert (file.get_filename(), file.get_content_type(), file.get_content()) == (
        "invoice märz.pdf",
        "application/pdf",
        data,
    )
    assert text_of(mail).strip() == "here"


async def test_an_inline_picture_stays_in_its_html(sender: MakeSender, mail_server: Any, blobs: BlobStore) -> None:
    await blobs.put(blob_uri(b"png"), b"png")
    picture = stored("a.png", "image/png", blob_uri(b"png"), inline=True, content_id="a@example.com")
    content = Text(text='<img src="cid:a@example.com">', format="html")
    await sender().send(outbound(content, attachments=(picture,)))

    mail = parsed(mail_server.mails[0].content)
    [image] = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert image["Content-ID"] == "<a@example.com>"
    assert image.get_content_disposition() == "inline"


async def test_a_file_that_is_missing_is_final(sender: MakeSender) -> None:
    attachment = stored("a.pdf", "application/pdf", blob_uri(b"never stored"))
    with pytest.raises(Refused, match="MEDIA_NOT_REACHABLE"):
        await sender().send(outbound(attachments=(attachment,)))


@pytest.mark.parametrize(("author", "auto"), [("bot", "no"), ("system", "no"), ("agent", "auto_reply")])
async def test_automatic_mail_says_so(sender: MakeSender, mail_server: Any, author: str, auto: str) -> None:
    """RFC 3834: so that no robot answers it."""
    await sender().send(outbound(author=Author(type=author), auto_submitted=auto))

    mail = parsed(mail_server.mails[0].content)
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-Auto-Response-Suppress"] == "All"


async def test_names_from_foreign_mails_cannot_add_headers(sender: MakeSender, mail_server: Any) -> None:
    out = outbound(Email(subject="a\r\nBcc: eve@example.net", text="x", to=(MailAddress(address="bob@example.net"),)))
    await sender(name="Support\r\nX-Evil: 1").send(out)

    [envelope] = mail_server.mails
    mail = parsed(envelope.content)
    assert envelope.rcpt_tos == ["ana@example.org", "bob@example.net"]
    assert mail["Bcc"] is None
    assert mail["X-Evil"] is None


async def test_a_hashed_id_is_no_reference(sender: MakeSender, mail_server: Any) -> None:
    """A mail without Message-ID is known to us by its hash, which means nothing to the other side."""
    await sender().send(outbound(in_reply_to=InReplyTo(native_id="sha256:00ff")))

    assert "References" not in parsed(mail_server.mails[0].content)


async def test_a_connection_is_used_again(sender: MakeSender, mail_server: Any) -> None:
    each = sender()
    for _ in range(3):
        await each.send(outbound())

    assert (len(mail_server.mails), mail_server.connections) == (3, 1)


async def test_connections_are_bounded(sender: MakeSender, mail_server: Any) -> None:
    each = sender(connections=2)
    await asyncio.gather(*(each.send(outbound()) for _ in range(8)))

    assert len(mail_server.mails) == 8
    assert mail_server.connections <= 2


REFUSALS = [
    ("rcpt", "550 5.1.1 no such user", RecipientGone, "RECIPIENT_NOT_REACHABLE"),
    ("rcpt", "550 no", Refused, "RECIPIENT_NOT_REACHABLE"),
    ("rcpt", "450 4.2.1 greylisted", TryAgain, None),
    ("rcpt", "554 5.7.1 relay denied", Refused, "DELIVERY_REJECTED_DUE_TO_POLICY"),
    ("rcpt", "530 5.7.0 log in first", Misconfigured, None),
    ("data", "552 5.3.4 too big", Refused, "MEDIA_TOO_LARGE"),
    ("data", "554 spam", Refused, "DELIVERY_REJECTED_DUE_TO_POLICY"),
    ("data", "451 4.3.0 busy", TryAgain, None),
    ("data", "421 4.3.2 going down", TryAgain, None),
]


@pytest.mark.parametrize(("at", "answer", "error", "code"), REFUSALS)
async def test_a_refusal_says_what_happens_next(
    sender: MakeSender, mail_server: Any, at: str, answer: str, error: type[OmnibusError], code: str | None
) -> None:
    each = sender()
    getattr(mail_server, f"{at}_answers").append(answer)
    with pytest.raises(error) as raised:
        await each.send(outbound())

    assert type(raised.value) is error
    assert getattr(raised.value, "code", None) == code
    await each.send(outbound())
    assert len(mail_server.mails) == 1, "the next mail leaves as if nothing had been"


async def test_a_copy_that_is_refused_does_not_fail_the_answer(sender: MakeSender, mail_server: Any) -> None:
    mail_server.rcpt_answers += ["250 Ok", "550 5.1.1 no such user"]
    content = Email(subject="x", text="x", cc=(MailAddress(address="gone@example.net"),))
    await sender().send(outbound(content))

    assert mail_server.mails[0].rcpt_tos == ["ana@example.org"]


async def test_a_server_that_is_away_is_tried_again(sender: MakeSender, unused_port: int) -> None:
    with pytest.raises(TryAgain):
        await sender(port=unused_port).send(outbound())


async def test_a_server_that_hangs_up_is_tried_again(sender: MakeSender) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        with pytest.raises(TryAgain):
            await sender(port=server.sockets[0].getsockname()[1]).send(outbound())


async def test_a_server_that_says_nothing_is_tried_again(sender: MakeSender) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    async with server:
        with pytest.raises(TryAgain):
            await sender(port=server.sockets[0].getsockname()[1], timeout=timedelta(seconds=1)).send(outbound())


async def test_a_wrong_password_pauses_the_account_and_is_not_shown(sender: MakeSender) -> None:
    with pytest.raises(Misconfigured) as raised:
        await sender(user="help", password=Secret("wrong-invented-password")).send(outbound())

    assert raised.value.setting == "outgoing.password"
    assert "wrong-invented-password" not in repr(raised.value)


async def test_a_login_is_made(sender: MakeSender, mail_server: Any) -> None:
    await sender(user="help", password=Secret("invented-password")).send(outbound())

    assert len(mail_server.mails) == 1


async def test_encryption_that_is_not_offered_is_told_to_the_operator(sender: MakeSender) -> None:
    """Never in the clear because a server, or somebody between, says that it cannot encrypt."""
    with pytest.raises(Misconfigured, match=r"outgoing\.tls"):
        await sender(tls="starttls").send(outbound())


@pytest.mark.parametrize(
    ("to", "scheme"),
    [
        ("MAILER-DAEMON@mx.example.org", "email"),
        ("no-reply@example.net", "email"),
        ("no-sender@192.0.2.1", "opaque"),
        ("", "email"),
    ],
)
async def test_robots_and_nobody_are_not_answered(sender: MakeSender, mail_server: Any, to: str, scheme: str) -> None:
    with pytest.raises(Refused, match="UNSUPPORTED_OPERATION"):
        await sender().send(outbound(to=to, scheme=scheme))

    assert not mail_server.connections


async def test_what_mail_cannot_carry_is_refused(sender: MakeSender) -> None:
    with pytest.raises(Refused, match="UNSUPPORTED_OPERATION"):
        await sender().send(outbound(Choices(text="Which?", options=(Option(id="1", title="One"),))))


def stored(name: str, mime: str, uri: str, **more: Any) -> Attachment:
    ref = AttachmentRef(scheme="object", uri=uri)
    return Attachment(id="att_1", mime=mime, state="stored", file_name=name, ref=ref, **more)


@pytest.fixture
async def unused_port() -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_an_address_in_any_script_is_answered(sender: MakeSender, mail_server: Any) -> None:
    """RFC 6531, where the server can; the test's server can."""
    await sender().send(outbound(to="grüße@example.org"))

    assert mail_server.mails[0].rcpt_tos == ["grüße@example.org"]
    assert "grüße@example.org".encode() in mail_server.mails[0].content


@pytest.mark.parametrize("to", ["a b@example.org", "a@example.org\r\nRCPT TO:<eve@example.net>", "@", "a@b@c", "<a@b>"])
async def test_an_address_that_cannot_exist_reaches_nobody_else(sender: MakeSender, mail_server: Any, to: str) -> None:
    with pytest.raises(Refused):
        await sender().send(outbound(to=to))

    assert not mail_server.mails
