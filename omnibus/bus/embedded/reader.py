"""Reading the file, synchronously, on the event loop's thread: every call sees the last commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from omnibus.bus.embedded.schema import MAX_PARTITIONS, PARTITION_MASK, connect_reader, record_id, tp_of
from omnibus.bus.embedded.txn import offset_of
from omnibus.bus.port import Headers, Record, TopicSpec

_AT_ONCE = 64
_STATE_OF = f"SELECT k, v FROM st WHERE task=? AND k IN ({','.join('?' * _AT_ONCE)})"  # noqa: S608  # marks only
_decode_headers = msgspec.msgpack.Decoder(Headers).decode
_decode_names = msgspec.msgpack.Decoder(tuple[str, ...]).decode
_decode_offsets = msgspec.msgpack.Decoder(tuple[int, ...]).decode


def sqlite_version() -> tuple[int, ...]:
    """The version of the SQLite library in use."""
    return sqlite3.sqlite_version_info


def decode_acked(blob: bytes | None) -> tuple[int, ...]:
    """The offsets beyond a sink's position that are dealt with already."""
    return () if blob is None else _decode_offsets(blob)


class Reader:
    """One read connection. Every statement is read to its end at once, so that no snapshot is held back."""

    def __init__(self, path: Path) -> None:
        self._connection = connect_reader(path)

    def close(self) -> None:
        self._connection.close()

    def _one(self, sql: str, args: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(sql, args).fetchone()
        return row

    def _all(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, args).fetchall()

    def _pairs(self, sql: str, args: Sequence[Any]) -> list[tuple[bytes, bytes]]:
        return self._connection.execute(sql, args).fetchall()

    # --- topics and records ---------------------------------------------------------------------

    def topics(self) -> dict[int, TopicSpec]:
        """Every topic by its id."""
        rows = self._all("SELECT id, name, partitions, kind, retention_ms, max_bytes FROM topic ORDER BY name")
        return {
            row[0]: TopicSpec(name=row[1], partitions=row[2], kind=row[3], retention_ms=row[4], max_bytes=row[5])
            for row in rows
        }

    def tails(self, topic_id: int) -> dict[int, tuple[int, int]]:
        """For every partition of a topic: its first offset and the next one to be written."""
        low = tp_of(topic_id, 0)
        rows = self._all("SELECT tp, first, next FROM tail WHERE tp>=? AND tp<?", (low, low + MAX_PARTITIONS))
        return {tp & PARTITION_MASK: (first, after) for tp, first, after in rows}

    def all_ends(self) -> dict[int, int]:
        """The next offset of every partition of every topic."""
        return dict(self._connection.execute("SELECT tp, next FROM tail"))

    def records(self, topic: str, tp: int, offset: int, limit: int, max_bytes: int) -> list[Record]:
        """Records from `offset` on, at most `limit`, and no more once `max_bytes` are reached."""
        cursor = self._connection.execute(
            "SELECT id, ts, key, value, headers FROM rec WHERE id>=? AND id<? ORDER BY id LIMIT ?",
            (record_id(tp, offset), record_id(tp + 1, 0), limit),
        )
        partition = tp & PARTITION_MASK
        found: list[Record] = []
        size = 0
        for row_id, ts_ms, key, value, headers in cursor:
            decoded = _decode_headers(headers) if headers is not None else ()
            found.append(Record(topic, partition, offset_of(row_id), ts_ms, key, value, decoded))
            size += 200 + len(value or b"") + len(headers or b"")
            if size >= max_bytes:
                break
        cursor.close()
        return found

    def time_of(self, tp: int, offset: int) -> int | None:
        """The time of the first record from `offset` on, None when there is none."""
        row = self._one(
            "SELECT ts FROM rec WHERE id>=? AND id<? ORDER BY id LIMIT 1", (record_id(tp, offset), record_id(tp + 1, 0))
        )
        return None if row is None else row[0]

    # --- tables ---------------------------------------------------------------------------------

    def table_get(self, topic_id: int, key: bytes) -> bytes | None:
        row = self._one(
            "SELECT rec.value FROM latest JOIN rec ON rec.id=latest.id "
            "WHERE topic=? AND latest.key=? AND rec.value IS NOT NULL LIMIT 1",
            (topic_id, key),
        )
        return None if row is None else row[0]

    def table_scan(self, topic_id: int, start: bytes, end: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        below, args = ("AND latest.key<? ", (end,)) if end is not None else ("", ())
        return self._pairs(
            "SELECT latest.key, rec.value FROM latest JOIN rec ON rec.id=latest.id "  # noqa: S608  # no foreign text
            f"WHERE topic=? AND latest.key>=? {below}AND rec.value IS NOT NULL ORDER BY latest.key LIMIT ?",
            (topic_id, start, *args, limit),
        )

    # --- groups ---------------------------------------------------------------------------------

    def group(self, name: str) -> tuple[int, tuple[str, ...]] | None:
        """A group's id and inputs."""
        row = self._one("SELECT id, inputs FROM grp WHERE name=?", (name,))
        return None if row is None else (row[0], _decode_names(row[1]))

    def groups(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """Every group's id and inputs, by its name."""
        rows = self._all("SELECT name, id, inputs FROM grp ORDER BY name")
        return {row[0]: (row[1], _decode_names(row[2])) for row in rows}

    def cursors(self) -> dict[str, bytes | None]:
        """Where every source stands."""
        return dict(self._connection.execute("SELECT source, value FROM cursor ORDER BY source"))

    def members(self) -> list[tuple[str, int]]:
        """Everybody who takes part, one at least for each running process, and until when (milliseconds) he counts."""
        return self._all("SELECT owner, until_ms FROM member")

    def generations(self) -> dict[int, int]:
        """For every group, a number that changes when its members or leases did."""
        return dict(self._connection.execute("SELECT id, generation FROM grp"))

    def position(self, group: int, tp: int) -> tuple[int, bytes | None] | None:
        """The position of a group in a partition and its encoded acknowledgements; None when it never committed."""
        row = self._one("SELECT off, acked FROM pos WHERE grp=? AND tp=?", (group, tp))
        return None if row is None else (row[0], row[1])

    def marked(self, tp: int, at_ms: int) -> int | None:
        """Every record below this offset was appended before `at_ms`; None when nothing is known of that time."""
        row = self._one("SELECT max(off) FROM mark WHERE tp=? AND at_ms<=?", (tp, at_ms))
        return None if row is None else row[0]

    def lags(self, group: int, topic_id: int) -> dict[int, int]:
        """For every partition of a topic, how many records a group has not dealt with."""
        low = tp_of(topic_id, 0)
        rows = self._all(
            "SELECT tail.tp, tail.next - coalesce(pos.off, tail.first), pos.acked FROM tail "
            "LEFT JOIN pos ON pos.grp=? AND pos.tp=tail.tp WHERE tail.tp>=? AND tail.tp<?",
            (group, low, low + MAX_PARTITIONS),
        )
        return {tp & PARTITION_MASK: behind - len(decode_acked(acked)) for tp, behind, acked in rows}

    # --- state ----------------------------------------------------------------------------------

    def state_get(self, task: int, key: bytes) -> bytes | None:
        row = self._one("SELECT v FROM st WHERE task=? AND k=?", (task, key))
        return None if row is None else row[0]

    def state_of(self, task: int, keys: list[bytes]) -> list[tuple[bytes, bytes]]:
        """The entries there are of these keys."""
        found: list[tuple[bytes, bytes]] = []
        for at in range(0, len(keys), _AT_ONCE):
            some = keys[at : at + _AT_ONCE]
            # Filled up with the last one: one text of the statement for any number of keys.
            found += self._pairs(_STATE_OF, (task, *some, *some[-1:] * (_AT_ONCE - len(some))))
        return found

    def state_scan(self, task: int, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return self._pairs(
            "SELECT k, v FROM st WHERE task=? AND k>=? AND k<? ORDER BY k LIMIT ?", (task, start, end, limit)
        )
