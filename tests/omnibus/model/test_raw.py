"""The stored form of a raw event: the same whether its body was copied or stayed where it was."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from omnibus.model.raw import LargeRaw, RawEvent, decode_raw, encode_raw


def a_raw(body: bytes, **fields: str) -> RawEvent:
    return RawEvent(
        id=fields.pop("id", "raw_1"),
        channel=fields.pop("channel", "email"),
        account=fields.pop("account", "support-mail"),
        received_at=datetime(2026, 3, 2, tzinfo=UTC),
        body=body,
        scope="email:default",
        attributes=fields,
    )


@given(st.integers(0, 200_000), st.text(max_size=40), st.text(max_size=40))
def test_a_large_event_is_stored_as_any_other(size: int, account: str, attribute: str) -> None:
    raw = a_raw(b"x" * size, account=account, note=attribute, body_="\x00\xc4body")
    large = LargeRaw(raw)
    stored = b"".join(large)
    assert (stored, large.size) == (encode_raw(raw), len(stored))
    assert decode_raw(stored) == raw


def test_a_large_body_is_not_copied() -> None:
    raw = a_raw(b"x" * 100_000)
    assert any(piece is raw.body for piece in LargeRaw(raw))
