"""Whole mails into parts: nothing raises, nothing is lost, and work grows with the size and no faster."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors._shared.mime.parse import MAX_DEPTH, MAX_PARTS, Part, parse
from connectors._shared.mime.structure import bodies_of, text_of_part


def types(part: Part) -> list[str]:
    return [each.content_type for each in part.walk()]


def texts(part: Part) -> list[str]:
    return [text_of_part(each) for each in bodies_of(part).text]


def test_a_header_name_with_blanks_does_not_end_the_headers() -> None:
    mail = parse(b"From: ana@example.org\nX Mailer: odd\nno header at all\nSubject: here\n\nbody\n")
    assert mail.headers.get("subject") == "here"
    assert mail.data == b"body\n"


def test_a_body_that_looks_like_headers_is_a_body() -> None:
    mail = parse(b"Subject: x\n\nTo: be or not to be\n")
    assert "to" not in mail.headers
    assert mail.data == b"To: be or not to be\n"


def test_folded_and_raw_eight_bit_fields_are_read() -> None:
    mail = parse("Subject: Gerät\r\n defekt\r\nContent-Type: text/plain; charset=latin-1\r\n\r\nx".encode("latin-1"))
    assert mail.headers.get("subject") == "Gerät defekt"


def test_mbox_lines_and_leading_blank_lines_are_no_headers() -> None:
    assert parse(b"From ana@example.org Mon\nSubject: x\n\nb").headers.get("subject") == "x"
    assert parse(b"\n\nSubject: x\n\nb").headers.get("subject") == "x"


def test_a_missing_end_loses_no_part() -> None:
    mail = parse(b'Content-Type: multipart/mixed; boundary="a"\n\n--a\n\none\n--a\nContent-Type: text/html\n\ntwo')
    assert types(mail) == ["multipart/mixed", "text/plain", "text/html"]
    assert [part.data for part in mail.children] == [b"one", b"two"]


def test_a_wrong_boundary_is_found_in_the_body() -> None:
    mail = parse(b'Content-Type: multipart/mixed; boundary="lost"\n\n--real\n\none\n--real\n\ntwo\n--real--\n')
    assert texts(mail) == ["one", "two"]


def test_a_multipart_without_parts_is_its_text() -> None:
    assert texts(parse(b"Content-Type: multipart/mixed\n\njust text\n")) == ["just text\n"]


def test_a_boundary_that_begins_another_does_not_end_it() -> None:
    mail = parse(
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=ab\n\n"
        b"--ab\n\none\n--ab\nContent-Type: text/html\n\ntwo\n--ab--\n--a\n\nthree\n--a--\n"
    )
    assert types(mail) == ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/plain"]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="a b.pdf"', "a b.pdf"),
        ("attachment; filename=a b.pdf", "a b.pdf"),
        ("attachment; filename*=utf-8''m%C3%A4rz.pdf; filename=marz.pdf", "märz.pdf"),
        ("attachment; filename*0=a; filename*1=b.pdf", "ab.pdf"),
        ("attachment; filename*0*=utf-8''%C3; filename*1*=%A4.pdf", "ä.pdf"),
        ('attachment; filename="=?utf-8?Q?m=C3=A4rz.pdf?="', "märz.pdf"),
        (r'attachment; filename="C:\temp\a.pdf"', r"C:\temp\a.pdf"),
        ("attachment", None),
    ],
)
def test_file_names_as_they_are_written(header: str, name: str | None) -> None:
    assert parse(f"Content-Disposition: {header}\n\nx".encode()).file_name == name


@pytest.mark.parametrize(
    ("encoding", "body", "data"),
    [
        ("base64", b"aGVs\r\nbG8=", b"hello"),
        ("base64", b"aGVsbG8", b"hello"),
        ("base64", b"aGVsbG8=\r\n\r\n-- \r\nlist footer", b"hello"),
        ("base64", b"aGVs*bG8=", b"hello"),
        ("base64", b"YQ==\r\nYg==", b"ab"),
        ("QUOTED-PRINTABLE", b"a=C3=A9=\r\nb=ZZ", "aéb=ZZ".encode()),
        ("x-uuencode", b"begin 644 a\r\n#0V%T\r\n`\r\nend\r\n", b"Cat"),
        ("8bit", b"\xff", b"\xff"),
        ("no-such", b"x", b"x"),
    ],
)
def test_transfer_encodings_and_their_damage(encoding: str, body: bytes, data: bytes) -> None:
    mail = b"Content-Transfer-Encoding: " + encoding.encode() + b"\n\n" + body
    assert parse(mail).decoded() == data


def test_an_enclosed_mail_is_a_file_with_parts() -> None:
    mail = parse(b"Content-Type: message/rfc822\n\nSubject: inner\n\ntext\n")
    assert types(mail) == ["message/rfc822", "text/plain"]
    assert bodies_of(mail).files == [mail]
    assert mail.children[0].headers.get("subject") == "inner"


def nested(depth: int) -> bytes:
    parts = [b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth)]
    return b"".join(parts) + b"\nbottom"


HOSTILE = {
    "deep multiparts": nested(3_000),
    "deep messages": b"Content-Type: message/rfc822\n\n" * 10_000,
    "many parts": b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n\nx\n" * 40_000,
    "many headers": b"X: 1\n" * 60_000,
    "a long header": b"Subject: " + b"=?utf-8?q?a?= " * 20_000,
    "open encoded words": b"Subject: " + b"=?a?b?" * 40_000,
    "open quotes": b"To: " + b'"\\' * 100_000,
    "many brackets": b"To: " + b"<(" * 100_000,
    "many colons": b"To: a@" + b":" * 200_000,
    "many parameters": b"Content-Type: a/b" + b"; a=b" * 50_000,
    "blank parameters": b"Content-Type: a/b;" + b" " * 200_000 + b"x",
    "dashes": b"Content-Type: multipart/mixed; boundary=-\n\n" + b"-" * 300_000,
    "bad lines": b"no header\n" * 30_000 + b"Subject: x\n\n",
    "nothing but line ends": b"\r\n" * 150_000,
    "no text at all": b"\0" * 300_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_costs_no_more_than_its_size(name: str) -> None:
    """Counted in calls, which are the same on every machine; a time-out of the whole run catches slow patterns."""
    calls = calls_of(lambda: read_all(HOSTILE[name]))
    assert calls < 40 * len(HOSTILE[name])


@pytest.mark.parametrize("name", ["deep multiparts", "deep messages", "many parts"])
def test_the_tree_is_capped(name: str) -> None:
    parts = list(parse(HOSTILE[name]).walk())
    assert len(parts) <= MAX_PARTS + 2
    assert max(part.depth for part in parts) <= MAX_DEPTH + 1


PIECES = [
    *(
        b"Subject",
        b":",
        b" ",
        b"\n",
        b"\r\n",
        b"--a",
        b"--a--",
        b"=?utf-8?Q?",
        b"?=",
        b"\xff",
        b"\0",
        b'"',
        b"text/html",
    ),
    *(
        b"Content-Type: multipart/mixed; boundary=a",
        b"Content-Transfer-Encoding: base64",
        b"message/rfc822",
        b"charset=utf-7",
    ),
]


def test_a_closing_delimiter_glued_to_the_text_is_no_text() -> None:
    mail = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo, --b--three--b--\n"
    assert [part.data for part in parse(mail).children] == [b"one", b"two, --b--three"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_pieces_of_a_mail_are_read(pieces: list[bytes]) -> None:
    read_all(b"".join(pieces))


@given(st.binary(max_size=500))
def test_any_bytes_are_a_mail(data: bytes) -> None:
    read_all(data)


def read_all(data: bytes) -> None:
    mail = parse(data)
    bodies = bodies_of(mail)
    for part in (*bodies.text, *bodies.html):
        text_of_part(part).encode("utf-8")
    for part in mail.walk():
        part.decoded()
        assert part.file_name is None or part.file_name
        for name in ("subject", "to", "content-type"):
            part.headers.get(name)


def calls_of(work: Callable[[], None]) -> int:
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
