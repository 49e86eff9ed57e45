"""Mails that are made to keep a reader busy do not: bench/email.py says how long each takes on a quiet machine."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from connectors.email.mapping import map_mail
from omnibus.model.raw import RawEvent

PLAIN = b"From: ana@example.org\n\n"
HTML = b"From: ana@example.org\nContent-Type: text/html; charset=utf-8\n\n"
DAEMON = b"From: MAILER-DAEMON@example.org\nSubject: failure notice\n\n"
BASE64 = b"From: ana@example.org\nContent-Transfer-Encoding: base64\n\n"
MIXED = b"Content-Type: multipart/mixed; boundary=a\n\n"
TNEF = b"From: ana@example.org\nContent-Type: application/ms-tnef\n\n"


def rich_text(rtf: bytes) -> bytes:
    """A mail that is all in `winmail.dat`, its rich text packed so that each byte stands for itself."""
    packed = b"".join(b"\0" + rtf[at : at + 8] for at in range(0, len(rtf), 8))
    value = struct.pack("<IIII", 0, len(rtf), 0x75465A4C, 0) + packed
    properties = struct.pack("<IHHII", 1, 0x102, 0x1009, 1, len(value)) + value
    return TNEF + struct.pack("<IHBII", 0x223E9F78, 1, 1, 0x69003, len(properties)) + properties


HOSTILE = {
    "paragraphs of rich text": rich_text(b"\\par x" * 200_000),
    "braces of rich text": rich_text(b"{" * 1_000_000),
    "addresses in brackets": PLAIN + b"<a@b.example>:\n" * 7_000,
    "addresses in a bounce": DAEMON + b"<a@b.example>:\n" * 7_000,
    "On On On": PLAIN + b"On " * 20_000,
    "sentences that end like an attribution": PLAIN + b"On x wrote\n" * 6_000,
    "attributions without an end": PLAIN + b"On Mon, 1 Jan 2026\n" * 4_000,
    "marks of forwarding": PLAIN + b"---------- Forwarded message\n" * 4_000,
    "quoted header fields": PLAIN + b"From: a@b.example\n" * 5_000,
    "rules": PLAIN + b"-----\n" * 50_000,
    "quotation marks": PLAIN + b">" * 300_000,
    "div": HTML + b"<div>" * 50_000,
    "lists": HTML + b"<li><ul>" * 30_000,
    "tables": HTML + b"<table><tr><td>" * 20_000,
    "comments": HTML + b"<!--" * 100_000,
    "links": HTML + b"<a href='http://example.org/x'>y</a> " * 10_000,
    "containers of quotations": HTML + b"<div class=gmail_quote>" * 15_000,
    "blockquotes": HTML + b"<blockquote>" * 20_000,
    "attributes": HTML + b"<p " + b"a=b " * 90_000 + b">",
    "padded pieces": BASE64 + b"=A" * 100_000,
    "boundaries": MIXED + b"--a\n" * 100_000,
    "nesting": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3_000)),
    "mails in mails": b"Content-Type: message/rfc822\n\n" * 3_000,
    "fields": b"X: y\n" * 100_000,
    "open brackets": b"To: " + b"<" * 60_000 + b"\n\nx",
    "open quotes": b"To: " + b'"' * 60_000 + b"\n\nx",
    "open comments": b"To: " + b"(" * 60_000 + b"\n\nx",
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 5_000 + b"\n\nx",
    "prefixes": b"Subject: " + b"Re: " * 15_000 + b"\n\nx",
    "references": b"References: " + b"<a@b.example> " * 8_000 + b"\n\nx",
}


@pytest.mark.timeout(30)  # what is not linear takes minutes at these sizes
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_read_at_once(name: str) -> None:
    raw = RawEvent(
        id="raw_1",
        channel="email",
        account="support-mail",
        received_at=datetime(2026, 5, 4, tzinfo=UTC),
        body=HOSTILE[name],
        transport="smtp",
        attributes={"own": "help@example.com"},
    )
    assert list(map_mail(raw))
