"""One job inside a write transaction: what it may do to the file, and what it touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from omnibus.bus.embedded.bulk import run_for_rows
from omnibus.bus.embedded.schema import OFFSET_BITS, PARTITION_BITS, PARTITION_MASK, record_id

Row = tuple[int, bytes | None, bytes | None, bytes | None]
"""ts_ms, key, value, encoded headers."""

T = TypeVar("T")
_AT_ONCE = 16
_MARKS = ",".join("?" * _AT_ONCE)
_DELETE_OLD = "DELETE FROM rec WHERE id IN (SELECT id FROM latest WHERE topic=? AND part=? AND key IN ({}))"
_decode_pairs = msgspec.json.Decoder(list[tuple[int, int]]).decode


class Batch(msgspec.Struct):
    """Records ready to be appended: rows for each partition, and where each record went in them."""

    rows: dict[int, list[Row]]
    tables: set[int]
    places: list[tuple[int, int]]
    """For every record, in the order given: its partition number and its index among that partition's rows."""

    size: int
    """Bytes."""

    @property
    def cost(self) -> int:
        """How much there is to write, in rows of a usual size."""
        return len(self.places) + self.size // 4096


def merged(batches: Iterable[Batch]) -> Batch:
    """All rows in one batch, in order; where each record went is not kept."""
    rows: dict[int, list[Row]] = {}
    whole = Batch(rows, set(), [], 0)
    for batch in batches:
        for tp, more in batch.rows.items():
            rows.setdefault(tp, []).extend(more)
        whole.tables |= batch.tables
        whole.size += batch.size
    return whole


class Txn:
    """The writer's connection in the hands of one job.

    `touched` collects the topics that got records, `announced` the groups whose members or leases changed.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.touched: set[int] = set()
        self.announced: set[int] = set()

    def append(self, batch: Batch) -> dict[int, int]:
        """Append the rows; returns the first offset written in each partition."""
        if not batch.rows:
            return {}
        bases = self._next_offsets(batch.rows)
        numbered = [
            (record_id(tp, bases[tp]) + i, *row) for tp, rows in batch.rows.items() for i, row in enumerate(rows)
        ]
        run_for_rows(self.connection, "INSERT INTO rec VALUES {}", "(?,?,?,?,?)", numbered)
        for tp in batch.tables:
            self._supersede(tp, record_id(tp, bases[tp]), batch.rows[tp])
        ends = [(tp, 0, base + len(batch.rows[tp])) for tp, base in bases.items()]
        moved = "INSERT INTO tail VALUES {} ON CONFLICT(tp) DO UPDATE SET next=excluded.next"
        run_for_rows(self.connection, moved, "(?,?,?)", ends)
        self.touched.update(tp >> PARTITION_BITS for tp in bases)
        return bases

    def _next_offsets(self, tps: Iterable[int]) -> dict[int, int]:
        # One row for all: every row fetched would cost a turn of the interpreter lock.
        tps = list(tps)
        marks = ",".join("?" * len(tps))
        (found,) = self.connection.execute(
            f"SELECT json_group_array(json_array(tp, next)) FROM tail WHERE tp IN ({marks})",  # noqa: S608  # marks only
            tps,
        ).fetchone()
        return dict(_decode_pairs(found))

    def _supersede(self, tp: int, first: int, rows: list[Row]) -> None:
        """A newer record of a key takes the place of the older one."""
        topic, part = tp >> PARTITION_BITS, tp & PARTITION_MASK
        newest = {row[1]: first + i for i, row in enumerate(rows)}
        if len(newest) < len(rows):
            kept = set(newest.values())
            passed = [first + i for i in range(len(rows)) if first + i not in kept]
            self._for_some("DELETE FROM rec WHERE id IN ({})", (), passed)
        self._for_some(_DELETE_OLD, (topic, part), list(newest))
        now = [(topic, key, part, row_id) for key, row_id in newest.items()]
        run_for_rows(self.connection, "INSERT OR REPLACE INTO latest VALUES {}", "(?,?,?,?)", now)

    def apply_state(self, deltas: Mapping[int, Mapping[bytes, bytes | None]]) -> None:
        """Write the state changes of some tasks; None deletes."""
        puts: list[tuple[int, bytes, bytes]] = []
        for task, delta in deltas.items():
            puts += [(task, key, value) for key, value in delta.items() if value is not None]
            self._forget(task, [key for key, value in delta.items() if value is None])
        upsert = "INSERT INTO st VALUES {} ON CONFLICT(task,k) DO UPDATE SET v=excluded.v"
        run_for_rows(self.connection, upsert, "(?,?,?)", puts)

    def _forget(self, task: int, keys: list[bytes]) -> None:
        self._for_some("DELETE FROM st WHERE task=? AND k IN ({})", (task,), keys)

    def _for_some(self, sql: str, before: tuple[int, ...], values: list[Any]) -> None:
        """Run `sql` with its ``{}`` replaced by marks for some of the values at a time."""
        sql = sql.format(_MARKS)
        for at in range(0, len(values), _AT_ONCE):
            some = values[at : at + _AT_ONCE]
            # Filled up with the last one: one text of the statement for any number of values.
            self.connection.execute(sql, (*before, *some, *some[-1:] * (_AT_ONCE - len(some))))

    def move(self, group: int, moves: Sequence[tuple[int, int, bytes | None]]) -> None:
        """Set positions of a group: partition, offset, and the acknowledgements beyond it (sinks only)."""
        rows = [(group, *move) for move in moves]
        moved = "INSERT INTO pos VALUES {} ON CONFLICT(grp,tp) DO UPDATE SET off=excluded.off, acked=excluded.acked"
        run_for_rows(self.connection, moved, "(?,?,?,?)", rows)


Job = Callable[[Txn], T]
"""What the writer runs: it may raise, and then only its own changes are taken back."""


def offset_of(row_id: int) -> int:
    """The offset inside a record's number."""
    return row_id & ((1 << OFFSET_BITS) - 1)
