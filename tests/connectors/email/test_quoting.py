"""Answers quote what they answer, and are signed where the account says so."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import dkim  # type: ignore[import-untyped]  # it ships no types
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from connectors.email.reply import split_reply
from connectors.email.reply_html import split_html_reply
from connectors.email.settings import DkimSettings
from omnibus.errors import Misconfigured
from omnibus.model.content import Email, Text
from omnibus.model.entities import Author, ChannelIdentity, Conversation, InReplyTo, Message, Native
from omnibus.model.events import Outbound

AT = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
CONVERSATION = "conv_0123456789abcdef0123456789abcdef"
QUESTION = Email(subject="Kettle", text="Where is <it>?\n> old\n", text_reply_only="Where is <it>?")

MakeSender = Callable[..., Any]


def message(number: int, direction: str, content: Any, **more: Any) -> Message:
    return Message(
        id=f"msg_{number:032x}",
        conversation_id=CONVERSATION,
        channel="email",
        channel_account_id="support-mail",
        direction=direction,
        author=Author(type="agent", id="agent_1"),
        content=content,
        status="queued",
        created_at=AT,
        received_at=AT,
        **more,
    )


def answer(content: Any = None, answered: str = "1@example.org") -> Outbound:
    return Outbound(
        message=message(
            2, "outbound", content or Text(text="It left yesterday."), in_reply_to=InReplyTo(native_id=answered)
        ),
        after=message(1, "inbound", QUESTION, native=Native(message_id="1@example.org")),
        conversation=Conversation(
            id=CONVERSATION,
            channel="email",
            channel_account_id="support-mail",
            thread_key="msg_root",
            contact_id="cnt_1",
            status="open",
            subject="Kettle",
            first_inbound_at=AT,
        ),
        recipient=ChannelIdentity(
            id="idn_1", channel="email", scheme="email", value="ana@example.org", normalized="ana@example.org"
        ),
    )


def text_of(data: bytes, kind: str = "plain") -> str:
    mail = message_from_bytes(data, policy=default)
    assert isinstance(mail, EmailMessage)
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n").strip()


async def test_an_answer_quotes_the_mail_it_answers(sender: MakeSender, mail_server: Any) -> None:
    """In a form that our own reader, and everybody's, takes out again."""
    await sender().send(answer())
    text = text_of(mail_server.mails[0].content)
    assert text == (
        "It left yesterday.\n\nOn Mon, 04 May 2026 09:30:00 +0000, ana@example.org wrote:\n> Where is <it>?"
    )
    assert split_reply(text).body == "It left yesterday."


async def test_html_answers_quote_in_html(sender: MakeSender, mail_server: Any) -> None:
    await sender().send(answer(Text(text="It **left**.", format="markdown")))
    html = text_of(mail_server.mails[0].content, "html")
    assert "Where is &lt;it&gt;?" in html
    assert html.endswith("</body></html>")
    assert split_html_reply(html).body == "It left."


async def test_nothing_is_quoted_that_is_not_answered(sender: MakeSender, mail_server: Any) -> None:
    """Somebody wrote in the meantime, or the account does not want it."""
    await sender().send(answer(answered="another@example.org"))
    await sender(quote=False).send(answer())
    assert [text_of(each.content) for each in mail_server.mails] == ["It left yesterday."] * 2


def key_of(kind: str, path: Path) -> bytes:
    """A new private key in a file, and the record that publishes its public key."""
    key: Any = rsa.generate_private_key(65_537, 2_048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    encoding, formats = serialization.Encoding, serialization.PublicFormat
    pem = key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem)
    form = (encoding.DER, formats.SubjectPublicKeyInfo) if kind == "rsa" else (encoding.Raw, formats.Raw)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(key.public_key().public_bytes(*form)).decode()}".encode()


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_answers_are_signed_as_others_verify(
    sender: MakeSender, mail_server: Any, tmp_path: Path, kind: str
) -> None:
    record = key_of(kind, tmp_path / "key.pem")
    settings = DkimSettings(domain="example.com", selector="s1", key=tmp_path / "key.pem")
    await sender(dkim=settings, name="Exämple Support").send(answer(Text(text="Café  \n\n\n")))

    mail = mail_server.mails[0].content
    assert dkim.verify(mail, dnsfunc=lambda name, timeout=5: record if name == b"s1._domainkey.example.com." else None)
    forged = mail.replace(b"To: ana@", b"To: eve@")
    assert not dkim.verify(forged, dnsfunc=lambda name, timeout=5: record)


async def test_a_key_that_cannot_be_read_is_told(sender: MakeSender, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"outgoing\.dkim\.key"):
        sender(dkim=DkimSettings(domain="example.com", selector="s1", key=tmp_path / "none.pem"))
