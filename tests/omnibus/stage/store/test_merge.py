"""A scan over what is written and what is not yet."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from omnibus.stage.store.merge import scan_changed

KEYS = st.binary(min_size=1, max_size=2)
VALUES = st.binary(max_size=2)


@given(
    st.dictionaries(KEYS, VALUES, max_size=12),
    st.dictionaries(KEYS, st.none() | VALUES, max_size=12),
    KEYS,
    st.none() | KEYS,
    st.integers(1, 5),
)
def test_it_is_as_if_the_changes_were_written(
    written: dict[bytes, bytes], changes: dict[bytes, bytes | None], start: bytes, end: bytes | None, limit: int
) -> None:
    def scan(start: bytes, end: bytes | None, limit: int) -> Sequence[tuple[bytes, bytes]]:
        return [item for item in sorted(written.items()) if start <= item[0] and (end is None or item[0] < end)][:limit]

    after = {key: value for key, value in (written | changes).items() if value is not None}
    expected = [item for item in sorted(after.items()) if start <= item[0] and (end is None or item[0] < end)][:limit]
    assert scan_changed(scan, changes, start, end, limit) == expected
