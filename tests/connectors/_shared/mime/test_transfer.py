"""Large bodies are decoded piece by piece, to the same bytes as whole ones."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._shared.mime.parse import Part, parse
from connectors._shared.mime.transfer import decode_transfer, in_pieces

HEAD = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee file.\r\n--b\r\n"


STEP = 7
"""No border between two pieces is where a line or a group of digits ends."""


def lines(data: bytes, width: int) -> bytes:
    digits = base64.b64encode(data)
    return b"\r\n".join(digits[at : at + width] for at in range(0, len(digits), width))


@given(st.binary(max_size=200), st.integers(1, 80), st.binary(max_size=5), st.sampled_from([b"", b"\r\n", b" "]))
def test_pieces_are_what_the_whole_is(data: bytes, width: int, before: bytes, after: bytes) -> None:
    body = lines(data, width) + after
    source = before + body
    pieces = in_pieces(source, len(before), len(source), "base64", STEP)
    assert pieces is not None
    assert b"".join(pieces) == b"".join(pieces) == data == decode_transfer(body, "base64")
    assert pieces.size == len(data)


@given(st.text(alphabet="QUJDRA==+/ \r\n-é.", max_size=60))
def test_what_can_be_had_in_pieces_is_the_same_as_the_whole(text: str) -> None:
    body = text.encode()
    pieces = in_pieces(body, 0, len(body), "base64", STEP)
    if pieces is not None:
        assert b"".join(pieces) == decode_transfer(body, "base64")
        assert pieces.size == len(b"".join(pieces))


@pytest.mark.parametrize("body", [b"QUJD-REVG", b"QUI=\r\nQUI=\r\n"])
def test_odd_base64_is_only_had_whole(body: bytes) -> None:
    assert in_pieces(body, 0, len(body), "base64") is None


def test_a_body_without_encoding_is_cut_where_it_is() -> None:
    pieces = in_pieces(b"xx0123456789yy", 2, 12, "8bit", STEP)
    assert pieces is not None
    assert (list(pieces), pieces.size) == ([b"0123456", b"789"], 10)


def test_quoted_printable_is_only_had_whole() -> None:
    assert in_pieces(b"a=20b", 0, 5, "quoted-printable") is None


def test_a_part_is_a_place_in_the_mail() -> None:
    """Also in a mail within a mail: nothing of it is copied before it is asked for."""
    data = random.Random(1).randbytes(5_000)
    inner = HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + lines(data, 76) + b"\r\n--b--\r\n"
    outer = b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"
    mail = outer + inner + b"\r\n--o--\r\n"
    parts = list(parse(mail).walk())
    assert all(part.source is mail for part in parts)
    file = parts[-1]
    assert isinstance(file, Part)
    assert (file.decoded(), b"".join(file.pieces() or ())) == (data, data)
