"""How long X finds a text: addresses count as their short form, and some signs twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.x.length import MAX_POST, length, pieces_of


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("hello", 5),
        ("café", 4),
        ("cafe\u0301", 4),
        ("日本", 4),
        ("👾", 2),
        ("https://example.com", 23),
        ("https://example.com/" + "very/long/" * 20, 23),
        ("see example.com/a now", 23 + 8),
        ("“quoted” – it’s", 15),
    ],
)
def test_weights_are_those_of_the_documentation(text: str, weight: int) -> None:
    assert length(text) == weight


def test_a_short_text_stays_whole() -> None:
    assert pieces_of("hello", MAX_POST) == ["hello"]
    assert pieces_of("   ", MAX_POST) == []


def test_an_address_longer_than_a_post_fits_into_one() -> None:
    text = f"here: https://example.com/{'a' * 300} bye"
    assert pieces_of(text, MAX_POST) == [text]


def test_a_long_text_is_cut_between_sentences() -> None:
    pieces = pieces_of("One sentence of some words. " * 20, MAX_POST)
    assert all(piece.endswith(".") for piece in pieces)
    assert all(length(piece) <= MAX_POST for piece in pieces)


def test_a_text_of_signs_that_count_twice_is_cut_earlier() -> None:
    pieces = pieces_of("日" * 300, MAX_POST)
    assert [len(piece) for piece in pieces] == [140, 140, 20]


@given(st.text(max_size=1_500))
def test_no_piece_is_too_long_and_no_word_is_lost(text: str) -> None:
    pieces = pieces_of(text, MAX_POST)
    assert all(length(piece) <= MAX_POST for piece in pieces)
    assert "".join("".join(piece.split()) for piece in pieces) == "".join(text.split())
