"""Bodies of many formats, whole and broken."""

from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._shared import bodies
from connectors._shared.paths import MISSING, find
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent


def raw(body: bytes, **headers: str) -> RawEvent:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    at = datetime(2026, 1, 5, tzinfo=UTC)
    return RawEvent(id="raw_1", channel="c", account="a", received_at=at, body=body, headers=pairs)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP", ""])
def test_a_packed_body_is_unpacked(encoding: str) -> None:
    packed = {"": b"hello", "deflate": zlib.compress(b"hello")}.get(encoding, gzip.compress(b"hello", mtime=0))
    assert bodies.body_of(raw(packed, content_encoding=encoding or "identity")) == b"hello"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"hello", "gzip"),
        (gzip.compress(b"hello", mtime=0)[:-4], "gzip"),
        (b"hello", "br"),
        (gzip.compress(bytes(bodies.MAX_UNPACKED + 1), mtime=0), "gzip"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_invalid(body: bytes, encoding: str) -> None:
    with pytest.raises(InvalidPayload):
        bodies.body_of(raw(body, content_encoding=encoding))


def test_words_are_read_in_the_charset_they_are_written_in() -> None:
    assert bodies.text_of("olá".encode("latin-1"), "text/plain; charset=iso-8859-1") == "olá"
    assert bodies.text_of("olá".encode("latin-1"), "text/plain") == "olá"
    assert bodies.text_of("olá".encode(), 'text/plain; charset="utf-8"') == "olá"
    assert bodies.text_of("olá".encode(), "text/plain; charset=invented") == "olá"


def test_a_field_that_comes_again_is_a_list() -> None:
    assert bodies.form_of(b"a=1&b=2&a=3&c=&a=4") == {"a": ["1", "3", "4"], "b": "2", "c": ""}
    with pytest.raises(InvalidPayload):
        bodies.form_of(b"a=1&" * 2_000)


def test_the_parts_of_a_multipart_body_keep_their_bytes() -> None:
    data = b"\x00\r\n--other\r\n\xff"
    body = (
        b'preamble\r\n--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nhello\r\n--B\r\n'
        b'Content-Disposition: form-data; name="f"; filename="x.bin"\r\nContent-Type: image/png\r\n\r\n' + data
    ) + b"\r\n--B--\r\nepilogue"
    field, file = bodies.multipart_of(body, 'multipart/form-data; boundary="B"')
    assert (field.name, field.data, field.file_name) == ("a", b"hello", None)
    assert (file.name, file.data, file.file_name, file.content_type) == ("f", data, "x.bin", "image/png")


@given(st.binary(max_size=400), st.text(max_size=80))
def test_any_bytes_are_parts_or_invalid(body: bytes, boundary: str) -> None:
    try:
        bodies.multipart_of(b"--B\r\n" + body, f"multipart/form-data; boundary={boundary}")
    except InvalidPayload:
        pass


@given(st.binary(max_size=400))
def test_any_bytes_are_a_form_and_text(body: bytes) -> None:
    assert isinstance(bodies.text_of(body), str)
    assert isinstance(bodies.form_of(body), dict)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", {"b": [1, {"c": 2}], "d.e": 3}),
        ("a.b.1.c", 2),
        ("/a/b/1/c", 2),
        ("x/y.z", 4),
        ("/x~1y.z", 4),
        ("a.b.2", MISSING),
        ("a.b.-1", MISSING),
        ("a.b.c", MISSING),
        ("a.b.99999999999", MISSING),
        ("", MISSING),
        ("a.b.0.c", MISSING),
    ],
)
def test_places_are_found_by_dots_and_by_json_pointer(path: str, found: object) -> None:
    assert find({"a": {"b": [1, {"c": 2}], "d.e": 3}, "x/y.z": 4}, path) == found
