"""What a mail says of itself: verdicts on its sender, receipts, complaints, files that are no parts, HTML to show."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable
from typing import Any

import pytest

from connectors.email.reply import split_reply
from omnibus.channel.events import Delivery, Message
from omnibus.model.content import Email

OURS = "omb.msg_fedcba9876543210fedcba9876543210.0123456789abcdef0123456789abcdef@example.com"
OneMessage = Callable[..., Message]

PASSES = "mx.example.com; spf=pass smtp.mailfrom=example.org; dkim=pass (2048) header.d=mail.example.org; dmarc=pass"


@pytest.mark.parametrize(
    ("field", "verified"),
    [
        (PASSES, "channel"),
        ("mx.example.com; dkim=pass header.d=example.org", "channel"),
        ("mx.example.com; dkim=pass header.d=example.net", "none"),
        ("mx.example.com; spf=pass smtp.mailfrom=bounce@example.net; dkim=fail header.d=example.org", "none"),
        ("mx.example.com; dkim=pass header.d=example.org; dmarc=fail header.from=example.org", "none"),
        ("mx.example.net; dmarc=pass", "none"),
        ("mx.example.com", "none"),
        ("mx.example.com; dkim=pass header.d=org", "none"),
    ],
)
def test_a_sender_is_verified_by_a_trusted_server_only(message_of: OneMessage, field: str, verified: str) -> None:
    mail = f"Authentication-Results: {field}\nFrom: ana@example.org\n\nHi"
    assert message_of(mail, authserv="mx.example.com").sender.verified == verified
    assert message_of(mail).sender.verified == "none"


def test_the_topmost_verdict_of_a_server_counts(message_of: OneMessage) -> None:
    """Its own is on top; one below may have come with the mail."""
    name = "Authentication-Results"
    mail = f"{name}: mx.example.com; dmarc=fail\n{name}: {PASSES}\nFrom: a@example.org\n\nx"
    assert message_of(mail, authserv="mx.example.com").sender.verified == "none"


def test_an_address_to_answer_is_not_verified_by_a_verdict_on_another(message_of: OneMessage) -> None:
    mail = f"Authentication-Results: {PASSES}\nFrom: ana@example.org\nReply-To: eve@example.net\n\nx"
    message = message_of(mail, authserv="mx.example.com")
    assert (message.sender.value, message.sender.verified) == ("eve@example.net", "none")
    assert message.attributes["authentication"] == "dkim=pass dmarc=pass spf=pass"


def report(kind: str, fields: str, original: str) -> str:
    return (
        "From: robot@example.org\nMIME-Version: 1.0\n"
        f"Content-Type: multipart/report; report-type={kind}; boundary=b\n\n"
        f"--b\n\nWords.\n--b\nContent-Type: message/{kind}\n\n{fields}\n"
        f"--b\nContent-Type: message/rfc822\n\nMessage-ID: <{original}>\nSubject: ours\n\ntext\n--b--\n"
    )


def test_a_read_receipt_is_a_delivery(mapped: Any) -> None:
    fields = (
        f"Final-Recipient: rfc822;ana@example.org\nOriginal-Message-ID: <{OURS}>\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\n"
    )
    [event] = mapped(report("disposition-notification", fields, OURS))
    assert isinstance(event, Delivery)
    assert (event.target, event.status, event.recipient) == (OURS, "read", "ana@example.org")


def test_a_mail_deleted_unread_was_not_read(message_of: OneMessage) -> None:
    fields = f"Original-Message-ID: <{OURS}>\nDisposition: automatic-action/MDN-sent-automatically; deleted\n"
    assert message_of(report("disposition-notification", fields, OURS)).auto_submitted == "auto_generated"


def test_a_complaint_is_told_in_the_conversation_it_is_about(message_of: OneMessage) -> None:
    fields = "Feedback-Type: abuse\nVersion: 1\nOriginal-Rcpt-To: <ana@example.org>\n"
    message = message_of(report("feedback-report", fields, OURS))
    assert message.attributes["complaint"] == "abuse"
    assert message.attributes["complaint_by"] == "ana@example.org"
    assert "c:conv_0123456789abcdef0123456789abcdef" in message.links


def test_uuencoded_files_leave_the_text(message_of: OneMessage) -> None:
    lines = b"".join(binascii.b2a_uu(b"a file" * 7) for _ in range(3)).decode()
    message = message_of(f"From: a@example.org\n\nSee below.\n\nbegin 644 notes.txt\n{lines}`\nend\nBye.\n")
    assert isinstance(message.content, Email)
    assert message.content.text == "See below.\n\nBye."
    assert [(each.file_name, each.mime, each.data) for each in message.attachments] == [
        ("notes.txt", "text/plain", b"a file" * 21)
    ]


def test_begin_is_a_word_like_any_other(message_of: OneMessage) -> None:
    message = message_of("From: a@example.org\n\nbegin 644 x\nnot encoded\nend\n")
    assert isinstance(message.content, Email)
    assert message.content.text.startswith("begin 644 x")


def tnef(*attributes: tuple[int, bytes]) -> bytes:
    packed = [struct.pack("<BII", 2, tag, len(data)) + data + b"\0\0" for tag, data in attributes]
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(packed)


@pytest.mark.parametrize("cut", [0, 3])
def test_files_in_winmail_dat_are_files(message_of: OneMessage, cut: int) -> None:
    data = tnef((0x69002, b"x"), (0x18010, b"plan.pdf\0"), (0x6800F, b"%PDF-1"), (0x69002, b"x"), (0x6800F, b"second"))
    body = binascii.b2a_base64(data[: len(data) - cut]).decode()
    message = message_of(
        "From: a@example.org\nContent-Type: application/ms-tnef; name=winmail.dat\n"
        f"Content-Transfer-Encoding: base64\n\n{body}"
    )
    names = [each.file_name for each in message.attachments]
    assert names == ["winmail.dat", "plan.pdf", "file2"][: 3 if not cut else 2]
    assert (message.attachments[1].mime, message.attachments[1].data) == ("application/pdf", b"%PDF-1")


def test_html_is_kept_without_what_runs_or_calls_home(message_of: OneMessage) -> None:
    html = (
        '<p onclick="x()">Hi<script>x()</script> <img src="http://example.net/track.gif"><img src="cid:logo">'
        '<a href="javascript:x()">a</a><a href="https://example.net/">b</a></p>'
    )
    kept = (message_of(f"From: a@example.org\nContent-Type: text/html\n\n{html}").html or b"").decode()
    assert "Hi" in kept
    assert 'src="cid:logo"' in kept
    assert 'href="https://example.net/"' in kept
    assert not any(word in kept for word in ("script", "onclick", "track.gif"))


def test_html_nested_beyond_sense_is_not_kept_for_showing(message_of: OneMessage) -> None:
    message = message_of("From: a@example.org\nContent-Type: text/html\n\n" + "<div>" * 1_000 + "Hi")
    assert (message.html, message.attributes["html_not_kept"]) == (None, True)
    assert isinstance(message.content, Email)
    assert message.content.text == "Hi"


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("It works.\n\nBest regards,\nAna Souza\nExample Ltd", "It works."),
        ("Funktioniert.\n\nMit freundlichen Grüßen\nAna Souza", "Funktioniert."),
        ("Funciona.\n\nAtenciosamente,\nAna", "Funciona."),
        ("Ça marche.\n\nCordialement,\nAna", "Ça marche."),
        (
            "Does it work?\n\nThanks,\n\nplease tell me about the kettle, and about the cups and the spoons.",
            None,
        ),
        ("Thanks!", None),
        ("Thanks,\nAna", None),
    ],
)
def test_a_closing_above_a_name_begins_the_signature(text: str, body: str | None) -> None:
    assert split_reply(text).body == (body or text)
    assert split_reply(text).visible == text


@pytest.mark.parametrize(
    ("subject", "topic", "joins"),
    [
        ("Re: Kettle", None, True),
        ("AW: Kettle", "Kettle", True),
        ("Invoice 7", None, False),
        ("Re: Invoice 7", "Kettle", False),
    ],
)
def test_another_subject_can_begin_a_conversation_of_its_own(
    message_of: OneMessage, subject: str, topic: str | None, joins: bool
) -> None:
    told = f"Thread-Topic: {topic}\n" if topic else ""
    mail = f"From: a@example.org\nSubject: {subject}\n{told}In-Reply-To: <1@example.net>\n\nx"
    assert ("m:1@example.net" in message_of(mail, follow_up="subject").links) is joins
    assert "m:1@example.net" in message_of(mail).links


def test_a_sender_without_an_address_is_called_what_it_says(message_of: OneMessage) -> None:
    assert message_of("From: The Door Bell\n\nDing").sender.display_name is None  # the envelope has an address
    assert message_of("From: The Door Bell\n\nDing", mail_from="").sender.display_name == "The Door Bell"
