"""Mails that Outlook put into `winmail.dat`: their words and files, however damaged they are."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.email.rtf import MAX_RTF, MAX_TOKENS, decompressed, rtf_to_text
from connectors.email.tnef import files_in_tnef, text_in_tnef
from omnibus.channel.events import Message
from omnibus.model.content import Email

# The two examples of [MS-OXRTFCP] section 3.
PLAIN = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
REPEATING = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")


def packed(*attributes: tuple[int, bytes]) -> bytes:
    found = [struct.pack("<BII", 2, tag, len(data)) + data + b"\0\0" for tag, data in attributes]
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(found)


def properties(*values: tuple[int, int, bytes]) -> bytes:
    """A list of properties of variable length, a number before them and one with a name between them."""
    named = struct.pack("<HH", 3, 0x8001) + bytes(16) + struct.pack("<II", 1, 6) + b"a\0b\0\0\0\0\0" + bytes(4)
    count = struct.pack("<I", len(values) + 2)
    first = struct.pack("<HHI", 3, 0x0017, 1)
    rest = b"".join(
        struct.pack("<HHII", kind, number, 1, len(value)) + value + bytes(-len(value) % 4)
        for kind, number, value in values
    )
    return count + first + named + rest


def compressed(rtf: bytes) -> bytes:
    """Every byte as itself: a form that any packer may choose."""
    body = b"".join(b"\0" + rtf[at : at + 8] for at in range(0, len(rtf), 8))
    return struct.pack("<IIII", len(body) + 12, len(rtf), 0x75465A4C, 0) + body


def test_rich_text_is_unpacked_as_its_specification_shows() -> None:
    assert decompressed(PLAIN) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert decompressed(REPEATING) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    assert decompressed(struct.pack("<IIII", 0, 3, 0x414C454D, 0) + b"abcdef") == b"abc"


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\f0 Hello \b Ana\b0 .\par Bye\par}", "Hello Ana.\nBye"),
        (rb"{\rtf1\ansicpg1252 caf\'e9 \u8364?5 \u-3? \{x\}\~\_}", "café €5 \ufffd {x}\u00a0-"),
        (rb"{\rtf1\ansicpg932 \'8a\'bf\'8e\'9a}", "漢字"),
        (rb"{\rtf1\uc2 \u233\'c3\'a9t\uc0\u233 !}", "ét\u00e9!"),
        (rb"{\rtf1 \u55357?\u56832? \emdash\bullet}", "😀 —•"),
        (
            rb"{\rtf1{\*\generator R;}{\info{\title no}}{\pict 0011}yes\line{\field{\*\fldinst X}{\fldrslt link}}}",
            "yes\nlink",
        ),
        (rb"{\rtf1 open {{{ never closed", "open  never closed"),
        (rb"}}}} {\rtf1 a}", " a"),
        (b"", ""),
    ],
)
def test_the_words_of_rich_text(rtf: bytes, text: str) -> None:
    assert rtf_to_text(rtf) == text


def in_mail(data: bytes, text: str = "") -> str:
    lines = base64.encodebytes(data).decode()
    part = f"Content-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n{lines}"
    head = "From: a@example.org\nContent-Type: multipart/mixed; boundary=b\n\n"
    return f"{head}--b\n\n{text}\n--b\n{part}\n--b--\n"


def test_a_mail_that_is_all_in_winmail_dat_has_its_words(message_of: Callable[..., Message]) -> None:
    rtf = compressed(rb"{\rtf1\ansicpg1252 Where is my kettle?\par Ana}")
    content = message_of(in_mail(packed((0x69003, properties((0x102, 0x1009, rtf)))))).content
    assert isinstance(content, Email)
    assert content.text == "Where is my kettle?\nAna"


def test_a_mail_with_text_of_its_own_keeps_that(message_of: Callable[..., Message]) -> None:
    content = message_of(in_mail(packed((0x2800C, b"other\0")), "mine")).content
    assert isinstance(content, Email)
    assert content.text == "mine"


def test_text_is_taken_before_html_and_html_before_rich_text() -> None:
    rtf = (0x102, 0x1009, compressed(rb"{\rtf1 rich}"))
    html = (0x102, 0x1013, b"<p>h&eacute;</p>\0")
    plain = (0x1F, 0x1000, "té\r\nxt\0".encode("utf-16-le"))
    assert text_in_tnef(packed((0x69003, properties(rtf, html, plain)))) == "té\nxt"
    assert text_in_tnef(packed((0x69003, properties(rtf, html)))).strip() == "hé"
    assert text_in_tnef(packed((0x69003, properties(rtf)))) == "rich"
    assert text_in_tnef(packed((0x69007, struct.pack("<I", 1252)), (0x2800C, b"caf\xe9\0"))) == "café"
    assert text_in_tnef(b"no such thing") == ""


@given(st.binary(max_size=300))
def test_what_is_damaged_never_raises(data: bytes) -> None:
    decompressed(struct.pack("<IIII", 0, 10_000, 0x75465A4C, 0) + data)
    rtf_to_text(b"{\\rtf1" + data)
    for tag in (0x69003, 0x2800C, 0x6800F):
        files_in_tnef(packed((tag, data)) + data)
        text_in_tnef(packed((0x69007, data), (tag, data)) + data)


def test_what_a_few_bytes_unpack_to_is_bounded() -> None:
    """Each two bytes may stand for seventeen; and a reader of words stops where no person writes on."""
    bomb = struct.pack("<IIII", 0, 2**32 - 1, 0x75465A4C, 0) + (b"\xff" + b"\x00\x1f" * 8) * 60_000
    assert len(decompressed(bomb)) <= MAX_RTF
    assert len(rtf_to_text(b"{" * MAX_RTF + b"late")) < MAX_RTF
    assert rtf_to_text(b"\\b" * MAX_TOKENS + b" late") == ""
