"""Many rows in few statements.

Python gives up its interpreter lock around every SQLite step. On the writer's thread, with the event loop busy, taking
it back costs up to a switch interval (5 ms) each time, so a statement for each row would be a hundred times slower.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

_SIZES = (128, 64, 32, 16, 8, 4, 2, 1)
"""Rows in one statement: few sizes, so that all of them stay in the statement cache."""


@lru_cache(maxsize=64)
def _repeated(sql: str, row: str, times: int) -> str:
    return sql.format(", ".join([row] * times))


def run_for_rows(connection: sqlite3.Connection, sql: str, row: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run `sql` with its ``{}`` replaced by as many copies of `row` as there are rows, in order."""
    for part in _parts(rows):
        connection.execute(_repeated(sql, row, len(part)), tuple(chain.from_iterable(part)))


def _parts(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    at = 0
    for size in _SIZES:
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size
