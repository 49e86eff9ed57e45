"""The file: its tables, how ids are packed, and how connections are opened."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from omnibus.errors import Misconfigured

VERSION = 1
FILE = "bus.sqlite"

PARTITION_BITS = 11
OFFSET_BITS = 40
MAX_TOPICS = 1 << 12
MAX_PARTITIONS = 1 << PARTITION_BITS
OFFSET_MASK = (1 << OFFSET_BITS) - 1
PARTITION_MASK = MAX_PARTITIONS - 1

BUSY_MS = 250
"""How long one attempt to get the write lock waits; the writer tries again until it is told to stop."""

# `rec.id` packs topic, partition and offset, so that appends go to right edges and a partition is one key range.
# `tp` is the id without the offset. `task` packs group and partition the same way.
_OPEN_S = 10.0
_SCHEMA = """
CREATE TABLE topic(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL, kind TEXT NOT NULL,
                   retention_ms INTEGER, max_bytes INTEGER NOT NULL) STRICT;
CREATE TABLE rec(id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB) STRICT;
CREATE TABLE tail(tp INTEGER PRIMARY KEY, first INTEGER NOT NULL, next INTEGER NOT NULL) STRICT;
CREATE TABLE latest(topic INTEGER NOT NULL, key BLOB NOT NULL, part INTEGER NOT NULL, id INTEGER NOT NULL,
                    PRIMARY KEY(topic, key, part)) WITHOUT ROWID, STRICT;
CREATE TABLE mark(tp INTEGER NOT NULL, off INTEGER NOT NULL, at_ms INTEGER NOT NULL,
                  PRIMARY KEY(tp, off)) WITHOUT ROWID, STRICT;
CREATE TABLE grp(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, inputs BLOB NOT NULL,
                 generation INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE member(grp INTEGER NOT NULL, owner TEXT NOT NULL, until_ms INTEGER NOT NULL,
                    PRIMARY KEY(grp, owner)) WITHOUT ROWID, STRICT;
CREATE TABLE lease(grp INTEGER NOT NULL, part INTEGER NOT NULL, owner TEXT, epoch INTEGER NOT NULL,
                   until_ms INTEGER NOT NULL, PRIMARY KEY(grp, part)) WITHOUT ROWID, STRICT;
CREATE TABLE pos(grp INTEGER NOT NULL, tp INTEGER NOT NULL, off INTEGER NOT NULL, acked BLOB,
                 PRIMARY KEY(grp, tp)) WITHOUT ROWID, STRICT;
CREATE TABLE st(task INTEGER NOT NULL, k BLOB NOT NULL, v BLOB NOT NULL, PRIMARY KEY(task, k)) WITHOUT ROWID, STRICT;
CREATE TABLE cursor(source TEXT PRIMARY KEY, epoch INTEGER NOT NULL, value BLOB) WITHOUT ROWID, STRICT;
"""


def tp_of(topic_id: int, partition: int) -> int:
    """The number of one partition of one topic."""
    return topic_id << PARTITION_BITS | partition


def record_id(tp: int, offset: int) -> int:
    """The number of one record."""
    return tp << OFFSET_BITS | offset


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection of this process that writes; creates the file and its tables when they are not there.

    Raises Misconfigured when the file cannot be used: no permission, a full disk, or no file of ours.
    """
    try:
        return _connect_writer(path)
    except sqlite3.DatabaseError as error:
        raise Misconfigured("bus", f"{path} cannot be opened: {error}") from error


def _connect_writer(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        _use_write_ahead_log(connection)
        # The housekeeper alone checkpoints: SQLite before 3.51.3 can corrupt the file when two connections do.
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute(f"PRAGMA journal_size_limit={4 * 1024 * 1024}")
        connection.execute("PRAGMA cache_size=-16384")
        _create_tables(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Raises Misconfigured where the file system cannot share memory between processes (some network drives)."""
    ends = time.monotonic() + _OPEN_S
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            # SQLite does not wait here when another process makes the file at the same moment. On a thread of its own.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(0.01)
        else:
            break
    if mode != "wal":
        raise Misconfigured("bus", "the file system of the bus folder does not support SQLite's write-ahead log")


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection for reading, used on one thread; every statement sees the last commit."""
    connection = _connect(path)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA cache_size=-16384")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    # The writer connection is made on the loop's thread and used on the writer's.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA busy_timeout=10000")
    return connection


def _create_tables(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == 0:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")
    if found not in (0, VERSION):
        raise Misconfigured("bus", f"{path} has file version {found}; this Omnibus reads version {VERSION}")
