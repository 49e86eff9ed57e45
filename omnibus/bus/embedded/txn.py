"""One job inside a write transaction: what it may do to the file, and what it touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

import msgspec

from omnibus.bus.embedded.schema import OFFSET_BITS, PARTITION_BITS, PARTITION_MASK, record_id

Row = tuple[int, bytes | None, bytes | None, bytes | None]
"""ts_ms, key, value, encoded headers."""

T = TypeVar("T")


class Batch(msgspec.Struct):
    """Records ready to be appended: rows for each partition, and where each record went in them."""

    rows: dict[int, list[Row]]
    tables: set[int]
    places: list[tuple[int, int]]
    """For every record, in the order given: its partition number and its index among that partition's rows."""

    size: int


class Txn:
    """The writer's connection in the hands of one job. `touched` collects the topics that got records."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.touched: set[int] = set()

    def append(self, batch: Batch) -> dict[int, int]:
        """Append the rows; returns the first offset written in each partition."""
        bases: dict[int, int] = {}
        for tp, rows in batch.rows.items():
            base = self._next_offset(tp)
            bases[tp] = base
            first = record_id(tp, base)
            self.connection.executemany(
                "INSERT INTO rec VALUES(?,?,?,?,?)", [(first + i, *row) for i, row in enumerate(rows)]
            )
            if tp in batch.tables:
                self._supersede(tp, first, rows)
            self.connection.execute("UPDATE tail SET next=? WHERE tp=?", (base + len(rows), tp))
            self.touched.add(tp >> PARTITION_BITS)
        return bases

    def _next_offset(self, tp: int) -> int:
        row = self.connection.execute("SELECT next FROM tail WHERE tp=?", (tp,)).fetchone()
        return int(row[0])

    def _supersede(self, tp: int, first: int, rows: list[Row]) -> None:
        """A newer record of a key takes the place of the older one."""
        topic, part = tp >> PARTITION_BITS, tp & PARTITION_MASK
        run = self.connection.execute
        for i, (_, key, _, _) in enumerate(rows):
            old = run("SELECT id FROM latest WHERE topic=? AND key=? AND part=?", (topic, key, part)).fetchone()
            if old is not None:
                run("DELETE FROM rec WHERE id=?", old)
            run("INSERT OR REPLACE INTO latest VALUES(?,?,?,?)", (topic, key, part, first + i))

    def apply_state(self, task: int, delta: dict[bytes, bytes | None]) -> None:
        """Write a step's state changes; None deletes."""
        puts = [(task, key, value) for key, value in delta.items() if value is not None]
        gone = [(task, key) for key, value in delta.items() if value is None]
        if gone:
            self.connection.executemany("DELETE FROM st WHERE task=? AND k=?", gone)
        if puts:
            self.connection.executemany(
                "INSERT INTO st VALUES(?,?,?) ON CONFLICT(task,k) DO UPDATE SET v=excluded.v", puts
            )

    def move(self, group: int, tp: int, offset: int, acked: bytes | None = None) -> None:
        """Set the position of a group in a partition; `acked` holds acknowledgements beyond it (sinks only)."""
        self.connection.execute(
            "INSERT INTO pos VALUES(?,?,?,?) ON CONFLICT(grp,tp) DO UPDATE SET off=excluded.off, acked=excluded.acked",
            (group, tp, offset, acked),
        )


Job = Callable[[Txn], T]
"""What the writer runs: it may raise, and then only its own changes are taken back."""


def offset_of(row_id: int) -> int:
    """The offset inside a record's number."""
    return row_id & ((1 << OFFSET_BITS) - 1)
