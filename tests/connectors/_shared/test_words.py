"""Words on their way out."""

from __future__ import annotations

import pytest

from connectors._shared.words import pieces, plain, shortened, units
from omnibus.model.content import Text


@pytest.mark.parametrize("text", ["A sentence. " * 900, "🚲" * 3_000, "é" * 9_000, "word " * 2_000 + "🚲"])
def test_no_piece_is_longer_than_the_channel_takes(text: str) -> None:
    cut = pieces(text, 1_000)
    assert all(units(piece) <= 1_000 for piece in cut)
    assert "".join(cut).replace(" ", "") == text.replace(" ", "")


def test_nothing_to_say_is_no_piece() -> None:
    assert pieces(" \n ", 100) == []


@pytest.mark.parametrize(
    ("text", "short"), [("abc", "abc"), ("abcdef", "abcd…"), ("🚲🚲🚲", "🚲🚲…"), ("a🚲🚲🚲", "a🚲…")]
)
def test_a_label_fits(text: str, short: str) -> None:
    assert shortened(text, 5) == short
    assert units(short) <= 5


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<p>a &amp; b</p><ul><li>c</li></ul>", "a & b\nc"),
        ("<style>p{}</style><p>Dear Ana,</p><p>it is <b>here</b><br>now</p>", "Dear Ana,\nit is here\nnow"),
        ("one<br><br>two", "one\n\ntwo"),
        ("<head><title>x</title></head><p>a</p></p></style>", "a"),
    ],
)
def test_html_becomes_words(html: str, words: str) -> None:
    assert plain(Text(text=html, format="html")) == words


def test_what_is_no_html_stays_as_it_is() -> None:
    assert plain(Text(text="a < b")) == "a < b"
