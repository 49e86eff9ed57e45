"""One commit for a group of jobs: what is inside the transaction, and what each job came to."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence, Set
from typing import Any, NamedTuple

from omnibus.bus.embedded.schema import BUSY_MS
from omnibus.bus.embedded.txn import Job, Txn
from omnibus.errors import OmnibusError, PublishRejected, PublishUnknown

_LOOK_S = 0.002
"""How often a lock that another process holds is tried again."""


class Work:
    """Jobs that must be in one commit. `tell` is called with what each of them returned or raised."""

    __slots__ = ("abandoned", "durable", "jobs", "outside", "rows", "tell")

    def __init__(
        self,
        jobs: Sequence[Job[Any]],
        tell: Callable[[list[Any]], None],
        *,
        durable: bool,
        rows: int | None,
        outside: bool,
    ) -> None:
        self.jobs = jobs
        self.tell = tell
        self.durable = durable
        self.rows = rows
        self.outside = outside
        self.abandoned = False


Told = tuple[Work, list[Any]]
"""A work, and for each of its jobs what it returned or raised."""


class Changes(NamedTuple):
    """What others of this process want to know of a commit: topics that got records, groups whose leases changed."""

    topics: Set[int] = frozenset()
    groups: Set[int] = frozenset()


class Committer:
    """Commits groups of works on one connection, by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._connection.execute("PRAGMA busy_timeout=0")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """End the wait for a lock; from another thread."""
        self._given_up.set()
        self._connection.interrupt()

    def try_begin(self) -> bool:
        """Begin a transaction without waiting; False when another process holds the lock, or anything else fails."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            return False
        return True

    def _begin(self) -> None:
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                # Another process holds the lock, perhaps a stopped one: only closing ends the wait.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or self._given_up.wait(_LOOK_S):
                    raise
            else:
                return

    def foreign_version(self) -> int:
        """A number that changes when another connection has committed, and not when this one has.

        https://www.sqlite.org/pragma.html#pragma_data_version
        """
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def run(self, group: Sequence[Work]) -> tuple[list[Told], Changes]:
        """Commit what belongs into a transaction, then do what does not."""
        inside = [work for work in group if not work.outside]
        told, changes = self._commit(inside) if inside else ([], Changes())
        return told + [self._maintain(work) for work in group if work.outside], changes

    def _maintain(self, work: Work) -> Told:
        """Outside of a transaction SQLite itself waits for a lock that another process holds."""
        txn = Txn(self._connection)
        self._connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        try:
            return work, [_attempt(job, txn) for job in work.jobs]
        finally:
            self._connection.execute("PRAGMA busy_timeout=0")

    def _commit(self, group: list[Work]) -> tuple[list[Told], Changes]:
        try:
            self._begin()
        except sqlite3.Error as error:
            return _all(group, PublishRejected(f"nothing was stored: {error}")), Changes()
        return self.finish(group)

    def finish(self, group: Sequence[Work]) -> tuple[list[Told], Changes]:
        """Run the jobs of a transaction that has begun, each in a savepoint when there are several, and commit."""
        group = [work for work in group if not work.abandoned]
        txn = Txn(self._connection)
        try:
            alone = len(group) == 1 and len(group[0].jobs) == 1
            told = (
                [(group[0], [self._alone(group[0].jobs[0], txn)])]
                if alone
                else [(work, [self._in_savepoint(job, txn) for job in work.jobs]) for work in group]
            )
        except sqlite3.Error as error:
            self._roll_back()
            return _all(group, PublishRejected(f"nothing was stored: {error}")), Changes()
        try:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            return _all(group, PublishUnknown(f"the commit failed: {error}")), Changes()
        return told, Changes(txn.touched, txn.announced)

    def _alone(self, job: Job[Any], txn: Txn) -> Any:
        outcome = _attempt(job, txn)
        if isinstance(outcome, BaseException):
            self._roll_back()
        return outcome

    def _in_savepoint(self, job: Job[Any], txn: Txn) -> Any:
        self._connection.execute("SAVEPOINT job")
        outcome = _attempt(job, txn)
        if isinstance(outcome, BaseException):
            self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")
        return outcome

    def _roll_back(self) -> None:
        # SQLite has rolled back by itself after some errors (disk full, I/O).
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _attempt(job: Job[Any], txn: Txn) -> Any:
    try:
        return job(txn)
    except OmnibusError as error:
        return error
    except sqlite3.Error as error:
        return PublishRejected(f"nothing was stored: {error}")
    except Exception as error:  # handed to whoever waits for the job, which raises it
        return error


def _all(group: Sequence[Work], error: OmnibusError) -> list[Told]:
    return [(work, [error] * len(work.jobs)) for work in group]
