"""Texts cut by bytes, and thread keys that come back as what they were made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._shared.meta.direct.place import Place, place_of
from connectors._shared.meta.direct.plan import split_by_bytes
from omnibus.errors import InvalidPayload


@given(st.text(max_size=3_000), st.integers(min_value=8, max_value=1_000))
def test_every_piece_fits_and_no_word_is_lost(text: str, limit: int) -> None:
    pieces = split_by_bytes(text, limit)
    assert all(len(piece.encode()) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "place",
    [
        Place(ours="4001", where="direct", id="7001"),
        Place(ours="4001", where="comment", id="1_1001"),
        Place(ours="4001", where="post", id="4001_1"),
        Place(ours="4001", where="mention", id="1_2"),
        Place(ours="4001", where="review", id="77"),
        Place(ours="4001", where="ref", id="a:b"),
        Place(ours="4001", where="account"),
    ],
)
def test_a_thread_key_says_where_it_is(place: Place) -> None:
    assert place_of(place.thread) == place


@pytest.mark.parametrize("thread", ["", "4001", ":7001", "4001:"])
def test_other_keys_are_none_of_ours(thread: str) -> None:
    with pytest.raises(InvalidPayload):
        place_of(thread)
