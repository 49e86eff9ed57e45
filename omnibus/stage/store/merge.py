"""Entries in key order, with changes that are not written yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

End = TypeVar("End", bytes, bytes | None)

Entries = Sequence[tuple[bytes, bytes]]


def scan_changed(
    scan: Callable[[bytes, End, int], Entries],
    changes: Mapping[bytes, bytes | None],
    start: bytes,
    end: End,
    limit: int,
) -> Entries:
    """What `scan` would find with start <= key < end (None: to the last), at most `limit`, were `changes` made.

    None among the changes deletes.
    """
    changed = {key: value for key, value in changes.items() if start <= key and (end is None or key < end)}
    if not changed:
        return scan(start, end, limit)
    # Every delete may hide one written entry, so that many more are read.
    deletes = sum(value is None for value in changed.values())
    merged = {key: value for key, value in scan(start, end, limit + deletes) if key not in changed}
    merged.update({key: value for key, value in changed.items() if value is not None})
    return [(key, merged[key]) for key in sorted(merged)[:limit]]
