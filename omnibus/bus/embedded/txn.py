"""One job inside a write transaction: what it may do to the file, and what it touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from omnibus.bus.embedded.bulk import run_for_rows
from omnibus.bus.embedded.schema import OFFSET_BITS, PARTITION_BITS, PARTITION_MASK, record_id

Row = tuple[int, bytes | None, bytes | None, bytes | None]
"""ts_ms, key, value, encoded headers."""

T = TypeVar("T")
_FORGET_AT_ONCE = 16
_FORGET = f"DELETE FROM st WHERE task=? AND k IN ({','.join('?' * _FORGET_AT_ONCE)})"  # noqa: S608  # marks only
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
    """The writer's connection in the hands of one job. `touched` collects the topics that got records."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.touched: set[int] = set()

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
        run = self.connection.execute
        for i, (_, key, _, _) in enumerate(rows):
            old = run("SELECT id FROM latest WHERE topic=? AND key=? AND part=?", (topic, key, part)).fetchone()
            if old is not None:
                run("DELETE FROM rec WHERE id=?", old)
            run("INSERT OR REPLACE INTO latest VALUES(?,?,?,?)", (topic, key, part, first + i))

    def apply_state(self, deltas: Mapping[int, Mapping[bytes, bytes | None]]) -> None:
        """Write the state changes of some tasks; None deletes."""
        puts: list[tuple[int, bytes, bytes]] = []
        for task, delta in deltas.items():
            puts += [(task, key, value) for key, value in delta.items() if value is not None]
            self._forget(task, [key for key, value in delta.items() if value is None])
        upsert = "INSERT INTO st VALUES {} ON CONFLICT(task,k) DO UPDATE SET v=excluded.v"
        run_for_rows(self.connection, upsert, "(?,?,?)", puts)

    def _forget(self, task: int, keys: list[bytes]) -> None:
        for at in range(0, len(keys), _FORGET_AT_ONCE):
            some = keys[at : at + _FORGET_AT_ONCE]
            # Filled up with the last one: one text of the statement for any number of keys.
            self.connection.execute(_FORGET, (task, *some, *some[-1:] * (_FORGET_AT_ONCE - len(some))))

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
