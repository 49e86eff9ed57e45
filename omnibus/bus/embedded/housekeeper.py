"""Retention, compaction leftovers, checkpoints and vacuum: done by one process, in small pieces."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import structlog

from omnibus import clock
from omnibus.bus.embedded import leases
from omnibus.bus.embedded.catalog import Topic
from omnibus.bus.embedded.core import Core
from omnibus.bus.embedded.leases import Claim
from omnibus.bus.embedded.owner import new_owner, process_of
from omnibus.bus.embedded.reader import sqlite_version
from omnibus.bus.embedded.schema import PARTITION_BITS, record_id, tp_of
from omnibus.bus.embedded.txn import Txn
from omnibus.errors import OmnibusError

log = structlog.get_logger(__name__)
GROUP = "omnibus housekeeping"
_PAUSE_S = 0.25
_MARKS_PER_RETENTION = 20
"""Records live up to this fraction longer than the retention says."""
_VACUUM_PAGES = 256
_FIXED_IN = (3, 51, 3)


class Housekeeper:
    """Runs in every process; the one that holds the lease works, the others wait for it to fail.

    Retention counts from the time a record was appended, not from the time it carries: an import of old messages
    keeps its full time. For that the end of every partition is marked now and then.
    """

    def __init__(self, core: Core, path: Path) -> None:
        self._core = core
        self._log_file = path.with_name(path.name + "-wal")
        self._claim = Claim(0, new_owner(), 1, int(core.limits.lease_ttl_s * 1000))
        self._checkpointed_at = time.monotonic()
        self._swept_at = 0.0
        self._beat_at = 0.0
        self._epoch: int | None = None
        self._warned = False

    async def work(self) -> None:
        """Until cancelled."""
        group = await self._core.writer.run(lambda txn: leases.join(txn, GROUP, ()))
        self._claim = Claim(group, self._claim.owner, 1, self._claim.ttl_ms)
        while True:
            try:
                await self._turn()
            except (OmnibusError, sqlite3.Error) as error:
                log.warning("housekeeping_failed", reason=str(error))
            await asyncio.sleep(_PAUSE_S)

    async def leave(self) -> None:
        if self._claim.group:
            await self._core.writer.run(lambda txn: leases.leave(txn, self._claim))

    async def _turn(self) -> None:
        if time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + self._core.limits.lease_ttl_s / 4
            beat = await self._core.writer.run(partial(leases.beat, claim=self._claim))
            self._warn_of_old_sqlite(beat.others)
            self._epoch = beat.owned.get(0)
        if self._epoch is None:
            return
        if self._is_time_to_checkpoint():
            self._checkpointed_at = time.monotonic()
            await self._core.writer.maintain(_checkpoint)
        if time.monotonic() - self._swept_at >= self._core.limits.retention_every_s:
            self._swept_at = time.monotonic()
            await self.enforce_retention(self._epoch)

    def _warn_of_old_sqlite(self, others: list[str]) -> None:
        mine = process_of(self._claim.owner)
        if self._warned or sqlite_version() >= _FIXED_IN or all(process_of(other) == mine for other in others):
            return
        self._warned = True
        log.warning(
            "sqlite_is_old",
            version=".".join(map(str, sqlite_version())),
            reason="several processes share the bus; SQLite before 3.51.3 has a bug that may damage the file then "
            "(https://www.sqlite.org/wal.html#walresetbug): upgrade SQLite, or run one process",
        )

    # --- checkpoints ----------------------------------------------------------------------------

    def _is_time_to_checkpoint(self) -> bool:
        try:
            size = self._log_file.stat().st_size
        except FileNotFoundError:
            return False
        waited = time.monotonic() - self._checkpointed_at
        return size > self._core.limits.checkpoint_bytes or waited > self._core.limits.checkpoint_every_s

    # --- retention ------------------------------------------------------------------------------

    async def enforce_retention(self, epoch: int) -> None:
        """Mark the ends of now, delete what is older than its topic keeps it, give pages back to the file system."""
        now_ms = clock.now_ms()
        for topic in self._core.catalog.all():
            if topic.spec.kind == "table":
                await self._bury(topic, now_ms, epoch)
            elif topic.spec.retention_ms is not None:
                await self._expire(topic, topic.spec.retention_ms, now_ms, epoch)
        await self._core.writer.maintain(_vacuum)

    async def _expire(self, topic: Topic, retention_ms: int, now_ms: int, epoch: int) -> None:
        every_ms = max(1, retention_ms // _MARKS_PER_RETENTION)
        await self._core.writer.run(partial(_mark, topic=topic, now_ms=now_ms, every_ms=every_ms))
        for partition, (first, _) in self._core.reader.tails(topic.id).items():
            tp = tp_of(topic.id, partition)
            keep_from = self._core.reader.marked(tp, now_ms - retention_ms)
            if keep_from is None or keep_from <= first:
                continue
            for below in _in_chunks(first, keep_from, self._core.limits.retention_chunk):
                await self._core.writer.run(partial(self._delete, tp=tp, below=below, epoch=epoch))

    def _delete(self, txn: Txn, tp: int, below: int, epoch: int) -> None:
        leases.hold(txn, self._claim, {0: epoch})
        run = txn.connection.execute
        run("DELETE FROM rec WHERE id>=? AND id<?", (record_id(tp, 0), record_id(tp, below)))
        run("UPDATE tail SET first=max(first, ?) WHERE tp=?", (below, tp))
        # The mark at the new first offset stays: it says from when the next one counts.
        run("DELETE FROM mark WHERE tp=? AND off<?", (tp, below))

    async def _bury(self, topic: Topic, now_ms: int, epoch: int) -> None:
        """Forget deletions that every reader has had time to see."""
        before_ms = now_ms - self._core.limits.tombstone_ms
        chunk = self._core.limits.retention_chunk
        while await self._core.writer.run(
            partial(self._bury_some, topic=topic, before_ms=before_ms, limit=chunk, epoch=epoch)
        ):
            pass

    def _bury_some(self, txn: Txn, topic: Topic, before_ms: int, limit: int, epoch: int) -> bool:
        leases.hold(txn, self._claim, {0: epoch})
        low, high = record_id(tp_of(topic.id, 0), 0), record_id(tp_of(topic.id + 1, 0), 0)
        rows = txn.connection.execute(
            "SELECT id, key FROM rec WHERE id>=? AND id<? AND value IS NULL AND ts<? LIMIT ?",
            (low, high, before_ms, limit),
        ).fetchall()
        txn.connection.executemany("DELETE FROM rec WHERE id=?", [(row_id,) for row_id, _ in rows])
        txn.connection.executemany(
            "DELETE FROM latest WHERE topic=? AND key=? AND id=?", [(topic.id, key, row_id) for row_id, key in rows]
        )
        return len(rows) == limit


def _in_chunks(first: int, end: int, size: int) -> Iterator[int]:
    """Ever higher bounds up to `end`, `size` apart."""
    yield from range(first + size, end, size)
    yield end


def _mark(txn: Txn, topic: Topic, now_ms: int, every_ms: int) -> None:
    """Note where each partition ends now, unless that was noted a short while ago."""
    low = topic.id << PARTITION_BITS
    txn.connection.execute(
        "INSERT INTO mark SELECT tp, next, ? FROM tail WHERE tp>=? AND tp<? AND next>first "
        "AND NOT EXISTS (SELECT 1 FROM mark WHERE mark.tp=tail.tp AND (mark.at_ms>? OR mark.off=tail.next))",
        (now_ms, low, low + topic.spec.partitions, now_ms - every_ms),
    )


def _checkpoint(txn: Txn) -> None:
    txn.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _vacuum(txn: Txn) -> None:
    txn.connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
