"""The one thread of a process that writes: whatever waits is committed together (group commit)."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from omnibus.bus.embedded.schema import BUSY_MS, connect_writer
from omnibus.bus.embedded.syncer import Syncer
from omnibus.bus.embedded.txn import Job, Txn
from omnibus.errors import OmnibusError, Overloaded, PublishRejected, PublishUnknown

T = TypeVar("T")
_GROUP = 256
_WAITING = 20_000


class _Work:
    """Jobs that must be in one commit, and who waits for them."""

    __slots__ = ("abandoned", "durable", "future", "jobs", "outside")

    def __init__(self, jobs: Sequence[Job[Any]], durable: bool, future: asyncio.Future[Any], outside: bool) -> None:
        self.jobs = jobs
        self.durable = durable
        self.future = future
        self.outside = outside
        self.abandoned = False


_Told = tuple[_Work, list[Any]]
"""Who waits, and for each of its jobs what it returned or raised."""


class Writer:
    """Runs jobs on its own thread; each in a savepoint, so that one that raises takes back only itself.

    Who asks for durability is told after the next sync of the write-ahead log, everybody else after the commit; a sync
    makes every earlier commit durable as well, because they share one log. `on_commit` is called on the loop with the
    ids of the topics that got records, as soon as readers see them.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, on_commit: Callable[[set[int]], None]) -> None:
        self._on_commit = on_commit
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._syncer = Syncer(path)
        self._accepting = True
        self._stop = threading.Event()
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="omnibus-bus-writer", daemon=True)

    @classmethod
    async def start(cls, path: Path, on_commit: Callable[[set[int]], None]) -> Self:
        """Open the file (made when it is not there) and start the thread. Raises Misconfigured."""
        writer = cls(await asyncio.to_thread(connect_writer, path), path, on_commit)
        writer._begin_thread()
        return writer

    def _begin_thread(self) -> None:
        self._connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._syncer.start()
        self._thread.start()

    async def run(self, job: Job[T], *, durable: bool = False) -> T:
        """Commit one job and return what it returned.

        Raises what the job raised; PublishRejected when nothing was stored, PublishUnknown when the commit itself
        failed half way, Overloaded when too much waits already.
        """
        (outcome,) = await self.run_all([job], durable=durable)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def run_all(self, jobs: Sequence[Job[T]], *, durable: bool = False) -> list[T | BaseException]:
        """Commit several jobs together; for each, in order, what it returned or raised."""
        return await self._submit(jobs, durable, outside=False)

    async def maintain(self, job: Job[T]) -> T:
        """Run one job outside any transaction (checkpoints, vacuum)."""
        (outcome,) = await self._submit([job], durable=False, outside=True)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def _submit(self, jobs: Sequence[Job[T]], durable: bool, *, outside: bool) -> list[T | BaseException]:
        if not self._accepting:
            raise PublishRejected("the bus is closed")
        if self._queue.qsize() > _WAITING:
            raise Overloaded("too many writes wait for the disk")
        work = _Work(jobs, durable, self._loop.create_future(), outside)
        self._queue.put(work)
        try:
            outcomes: list[T | BaseException] = await work.future
        except asyncio.CancelledError:
            work.abandoned = True
            raise
        return outcomes

    async def close(self, deadline_s: float) -> None:
        """Commit what was accepted and end the thread; after `deadline_s` what still waits is rejected."""
        self._accepting = False
        self._queue.put(None)
        done, _ = await asyncio.wait([self._ended], timeout=max(deadline_s, 0.0))
        if not done:
            self._stop.set()
            self._connection.interrupt()
            await self._ended
        self._thread.join()
        self._connection.close()

    # --- on the writer's thread -----------------------------------------------------------------

    def _run(self) -> None:
        ended = False
        while not ended:
            first = self._queue.get()
            group: list[_Work] = []
            ended = first is None
            if first is not None:
                group.append(first)
                ended = self._gather(group)
            self._write(group)
        self._syncer.close()
        self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _gather(self, group: list[_Work]) -> bool:
        """Add whatever waits to the group; True when the end mark was among it."""
        while len(group) < _GROUP:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                return False
            if work is None:
                return True
            group.append(work)
        return False

    def _write(self, group: list[_Work]) -> None:
        inside = [work for work in group if not work.outside and not work.abandoned]
        if inside:
            self._commit(inside)
        for work in group:
            if work.outside and not work.abandoned:
                self._tell([(work, [self._attempt(job, Txn(self._connection)) for job in work.jobs])])

    def _commit(self, group: list[_Work]) -> None:
        txn = Txn(self._connection)
        try:
            self._begin()
            alone = len(group) == 1 and len(group[0].jobs) == 1
            outcomes = (
                [[self._alone(group[0].jobs[0], txn)]]
                if alone
                else [[self._in_savepoint(job, txn) for job in work.jobs] for work in group]
            )
        except sqlite3.Error as error:
            self._roll_back()
            self._tell_all(group, PublishRejected(f"nothing was stored: {error}"))
            return
        try:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            self._tell_all(group, PublishUnknown(f"the commit failed: {error}"))
            return
        self._committed(group, outcomes, txn.touched)

    def _committed(self, group: list[_Work], outcomes: list[list[Any]], touched: set[int]) -> None:
        told = list(zip(group, outcomes, strict=True))
        if waiting := [one for one in told if one[0].durable]:
            self._syncer.after_next(partial(self._synced, waiting))
        at_once = [one for one in told if not one[0].durable]
        if at_once or touched:
            self._loop.call_soon_threadsafe(self._resolve, at_once, touched)

    def _synced(self, waiting: list[_Told], error: OSError | None) -> None:
        """On the syncer's thread."""
        if error is not None:
            unknown = PublishUnknown(f"the sync after the commit failed: {error}")
            waiting = [(work, [unknown] * len(work.jobs)) for work, _ in waiting]
        self._loop.call_soon_threadsafe(self._resolve, waiting, set())

    def _begin(self) -> None:
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                # Another process holds the lock, perhaps a stopped one: only closing ends the wait.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or self._stop.is_set():
                    raise
            else:
                return

    def _alone(self, job: Job[Any], txn: Txn) -> Any:
        outcome = self._attempt(job, txn)
        if isinstance(outcome, BaseException):
            self._roll_back()
        return outcome

    def _in_savepoint(self, job: Job[Any], txn: Txn) -> Any:
        self._connection.execute("SAVEPOINT job")
        outcome = self._attempt(job, txn)
        if isinstance(outcome, BaseException):
            self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")
        return outcome

    @staticmethod
    def _attempt(job: Job[Any], txn: Txn) -> Any:
        try:
            return job(txn)
        except OmnibusError as error:
            return error
        except sqlite3.Error as error:
            return PublishRejected(f"nothing was stored: {error}")
        except Exception as error:  # handed to whoever waits for the job, which raises it
            return error

    def _roll_back(self) -> None:
        # SQLite has rolled back by itself after some errors (disk full, I/O).
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _tell_all(self, group: list[_Work], error: OmnibusError) -> None:
        self._tell([(work, [error] * len(work.jobs)) for work in group])

    def _tell(self, told: list[_Told]) -> None:
        self._loop.call_soon_threadsafe(self._resolve, told, set())

    # --- on the loop ----------------------------------------------------------------------------

    def _resolve(self, told: list[_Told], touched: set[int]) -> None:
        for work, outcome in told:
            if not work.future.done():
                work.future.set_result(outcome)
        if touched:
            self._on_commit(touched)
