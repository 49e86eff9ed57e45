"""Ids are functions of what happened, nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omnibus.model import ids

parts = st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=5)


@given(parts, parts)
def test_different_parts_give_different_ids(one: list[str | None], other: list[str | None]) -> None:
    """Parts are framed: moving a character from one part to the next is another id."""
    assert (ids.derive("evt", *one) == ids.derive("evt", *other)) == (one == other)


def test_ids_never_change_between_releases() -> None:
    """Downstream has stored these; a change here breaks every replay."""
    assert ids.event_id("help", "m-1", "message.received") == "evt_d0cbb9f848df1f05f8ee1077a6b31b6b"
    assert ids.conversation_id("help", "t-1", "msg_1") == "conv_e54b98c0510bc171e3c6c798c0ff9106"


def test_ids_fit_the_contract() -> None:
    assert len(ids.event_id("a" * 500, "b" * 500, "c" * 500)) <= 128
