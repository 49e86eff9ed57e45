"""Bytes to text: what is declared counts first, and whatever comes out can be stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._shared.mime.charset import codec_of, decode

NAMES = [
    "utf-8",
    "iso-8859-1",
    "gb2312",
    "utf-7",
    "iso-2022-jp",
    "utf-16",
    "idna",
    "punycode",
    "hz",
    "zlib",
    "",
    "x" * 99,
]


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UTF-8", "utf-8"),
        ('"iso-8859-1"', "cp1252"),
        ("windows-874", "cp874"),
        ("x-mac-cyrillic", "mac-cyrillic"),
        ("gb2312", "gb18030"),
        ("ks_c_5601-1987", "cp949"),
        ("unknown-8bit", None),
        ("no-such-thing", None),
        ("zlib_codec", None),
        ("idna", None),
        ("unicode_escape", None),
    ],
)
def test_names_as_mails_write_them(declared: str, codec: str | None) -> None:
    assert codec_of(declared) == codec


def test_the_declared_charset_wins_over_any_guess() -> None:
    """These bytes are valid UTF-8 too; the mail says that they are Latin."""
    assert decode("Ã©".encode("latin-1"), "iso-8859-1") == "Ã©"


def test_utf8_is_tried_where_the_declaration_is_wrong_or_missing() -> None:
    assert decode("é".encode(), "us-ascii") == decode("é".encode()) == decode("é".encode(), "no-such") == "é"


def test_a_sibling_says_more_than_a_guess() -> None:
    assert decode("Привет".encode("koi8-r"), None, "koi8-r") == "Привет"


def test_japanese_in_seven_bits_needs_no_declaration() -> None:
    assert decode("ヤカン".encode("iso2022_jp")) == "ヤカン"


def test_a_character_cut_in_half_does_not_spoil_the_others() -> None:
    cut = "Картинка с очень длинным именем".encode()[:-1]
    assert decode(cut).startswith("Картинка с очень длинным имене")


@given(st.binary(max_size=300), st.sampled_from(NAMES), st.sampled_from([None, *NAMES]))
def test_any_bytes_become_text_that_can_be_stored(data: bytes, declared: str, hint: str | None) -> None:
    text = decode(data, declared, hint)
    assert "\0" not in text
    text.encode("utf-8")
