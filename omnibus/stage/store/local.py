"""A task's state in one SQLite file: a copy of its changelog up to a known offset.

Written only after the changelog has it, in one SQL transaction with the offset, so a crash leaves an older copy and
never a wrong one. That allows changes of several commits to gather in memory and to be written together, which is
much cheaper. A copy that cannot be trusted is deleted and made anew.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from omnibus.stage.store.merge import scan_changed

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kv(k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
"""
_ENTRY_BYTES = 150
_GATHER_ROWS, _GATHER_BYTES, _GATHER_S = 2_048, 1024 * 1024, 1.0
"""Changes wait in memory until there are so many, or so much of them, or the first has waited so long."""


class LocalStore:
    """The `Backing` of one task, with the entries used last kept in memory. One process holds a file at a time."""

    def __init__(self, path: Path, cache_bytes: int = 8 * 1024 * 1024) -> None:
        """Open or make the file; when another process holds it, a file of this process's own is used instead."""
        self._held, self.path = _held(path)
        self._private = self.path != path
        self._most = cache_bytes
        self._cache: dict[bytes, bytes | None] = {}
        self._bytes = 0
        self._gathered: dict[bytes, bytes | None] = {}
        self._gathered_meta: dict[str, bytes] = {}
        self._gathered_bytes = 0
        self._write_at = 0.0
        self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = _opened(self.path)
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("damaged")
        except sqlite3.DatabaseError:
            _remove(self.path)
            connection = _opened(self.path)
        return connection

    def wipe(self) -> None:
        """Begin with nothing."""
        self._connection.close()
        _remove(self.path)
        self._connection = _opened(self.path)
        self._forget_gathered()
        self._forget()

    def close(self) -> None:
        """What cannot be written any more is left out: the changelog has it."""
        with suppress(sqlite3.Error):
            self.flush()
        self._connection.close()
        if self._private:
            _remove(self.path)
            self.path.with_suffix(".lock").unlink(missing_ok=True)
        os.close(self._held)

    # --- reading --------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        if key in self._cache:
            value = self._cache[key] = self._cache.pop(key)  # to the end: used last
            return value
        if key in self._gathered:
            return self._gathered[key]
        row = self._connection.execute("SELECT v FROM kv WHERE k=?", (key,)).fetchone()
        value = None if row is None else row[0]
        self._remember(key, value)
        return value

    def scan(self, start: bytes, end: bytes | None, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """Entries with start <= key < end, in key order; without an end, to the last."""
        return scan_changed(self._scan_file, self._gathered, start, end, limit)

    def _scan_file(self, start: bytes, end: bytes | None, limit: int) -> Sequence[tuple[bytes, bytes]]:
        if end is None:
            found = self._connection.execute("SELECT k, v FROM kv WHERE k>=? ORDER BY k LIMIT ?", (start, limit))
        else:
            found = self._connection.execute(
                "SELECT k, v FROM kv WHERE k>=? AND k<? ORDER BY k LIMIT ?", (start, end, limit)
            )
        return found.fetchall()

    def meta(self, name: str) -> bytes | None:
        if name in self._gathered_meta:
            return self._gathered_meta[name]
        row = self._connection.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
        return None if row is None else row[0]

    def count(self) -> int:
        self.flush()
        (count,) = self._connection.execute("SELECT count(*) FROM kv").fetchone()
        return int(count)

    # --- writing --------------------------------------------------------------------------------

    def apply(self, delta: Mapping[bytes, bytes | None], meta: Mapping[str, bytes]) -> None:
        """Take changes (None deletes) and what they bring the copy up to; they reach the file together, and soon."""
        now = time.monotonic()
        if not self._gathered_meta:
            self._write_at = now + _GATHER_S
        self._gathered.update(delta)
        self._gathered_meta.update(meta)
        for key, value in delta.items():
            self._gathered_bytes += _size(key, value)
            if key in self._cache:
                self._bytes -= _size(key, self._cache.pop(key))
            self._remember(key, value)
        if len(self._gathered) >= _GATHER_ROWS or self._gathered_bytes >= _GATHER_BYTES or now >= self._write_at:
            self.flush()

    def load(self, delta: Mapping[bytes, bytes | None], meta: Mapping[str, bytes]) -> None:
        """As `apply`, for much at once while nothing is read: in key order, past the memory, to the file at once."""
        self.flush()
        self._write({key: delta[key] for key in sorted(delta)}, meta)
        self._forget()

    def flush(self) -> None:
        """Write what has gathered, all or nothing."""
        if self._gathered or self._gathered_meta:
            self._write(self._gathered, self._gathered_meta)
            self._forget_gathered()

    def _forget_gathered(self) -> None:
        self._gathered, self._gathered_meta, self._gathered_bytes = {}, {}, 0

    def _write(self, delta: Mapping[bytes, bytes | None], meta: Mapping[str, bytes]) -> None:
        run = self._connection
        gone = [(key,) for key, value in delta.items() if value is None]
        puts: Iterable[tuple[bytes, bytes]] = [item for item in delta.items() if item[1] is not None]  # type: ignore[misc]  # None is left out
        run.execute("BEGIN")
        try:
            if gone:
                run.executemany("DELETE FROM kv WHERE k=?", gone)
            if puts:
                run.executemany("INSERT INTO kv VALUES(?,?) ON CONFLICT(k) DO UPDATE SET v=excluded.v", puts)
            run.executemany(
                "INSERT INTO meta VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value", meta.items()
            )
        except BaseException:
            if run.in_transaction:  # SQLite has rolled back by itself after some errors (disk full, I/O)
                run.execute("ROLLBACK")
            raise
        run.execute("COMMIT")

    def _remember(self, key: bytes, value: bytes | None) -> None:
        self._cache[key] = value
        self._bytes += _size(key, value)
        while self._bytes > self._most:
            oldest = next(iter(self._cache))
            self._bytes -= _size(oldest, self._cache.pop(oldest))

    def _forget(self) -> None:
        self._cache.clear()
        self._bytes = 0


def _size(key: bytes, value: bytes | None) -> int:
    return _ENTRY_BYTES + len(key) + (0 if value is None else len(value))


def _held(path: Path) -> tuple[int, Path]:
    """A lock, and the file it stands for: `path`, or one of this process's own while another holds that."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for candidate in (path, path.with_name(f"{path.stem}.{os.getpid()}.{id(path):x}.private")):
        handle = os.open(candidate.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            continue
        return handle, candidate
    raise OSError(f"{path} and its stand-in are both held by another process")


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=64)
    # A power cut may lose the last commits, never the order of them: the changelog has what is missing.
    for pragma in (
        "locking_mode=EXCLUSIVE",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "cache_size=-8192",
        "wal_autocheckpoint=4000",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchone()
    connection.executescript(_SCHEMA)
    return connection


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
