"""The one place of a process that writes: whatever waits is committed together (group commit).

What arrives in one turn of the event loop is one group. A small group is written on the loop's own thread, which costs
less than handing it over (each statement would have to win the interpreter back); a large one, or one that finds the
file locked by another process, goes to the writer's thread, and whatever comes meanwhile is the next group.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from omnibus.bus.embedded.commit import Changes, Committer, Told, Work
from omnibus.bus.embedded.schema import connect_writer
from omnibus.bus.embedded.syncer import Syncer
from omnibus.bus.embedded.txn import Job
from omnibus.errors import Overloaded, PublishRejected, PublishUnknown

T = TypeVar("T")
_GROUP = 256
_WAITING = 20_000
_FEW_ROWS = 64
"""So many rows are written in well under a millisecond."""


class Writer:
    """Runs jobs in transactions; each in a savepoint, so that one that raises takes back only itself.

    Who asks for durability is told after the next sync of the write-ahead log, everybody else after the commit; a sync
    makes every earlier commit durable as well, because they share one log. `on_commit` is called on the loop with what
    changed, as soon as readers see it.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, on_commit: Callable[[Changes], None]) -> None:
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._committer = Committer(connection)
        self._syncer = Syncer(path)
        self._waiting: deque[Work] = deque()
        self._flush_comes = False
        self._thread_is_busy = False
        self._accepting = True
        self._idle = asyncio.Event()
        self._idle.set()
        self._groups: queue.SimpleQueue[list[Work] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="omnibus-bus-writer", daemon=True)

    @classmethod
    async def start(cls, path: Path, on_commit: Callable[[Changes], None]) -> Self:
        """Open the file (made when it is not there) and start the threads. Raises Misconfigured."""
        writer = cls(await asyncio.to_thread(connect_writer, path), path, on_commit)
        writer._syncer.start()
        writer._thread.start()
        return writer

    async def run(self, job: Job[T], *, durable: bool = False, rows: int | None = None) -> T:
        """Commit one job and return what it returned.

        Raises what the job raised; PublishRejected when nothing was stored, PublishUnknown when the commit itself
        failed half way, Overloaded when too much waits already.
        """
        (outcome,) = await self.run_all([job], durable=durable, rows=rows)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def run_all(
        self, jobs: Sequence[Job[T]], *, durable: bool = False, rows: int | None = None
    ) -> list[T | BaseException]:
        """Commit several jobs together; for each, in order, what it returned or raised.

        `rows` says about how many rows they write; None when that is not known, or when it takes long.
        """
        return await self._submit(jobs, durable=durable, rows=rows, outside=False)

    async def maintain(self, job: Job[T]) -> T:
        """Run one job outside any transaction (checkpoints, vacuum)."""
        (outcome,) = await self._submit([job], durable=False, rows=None, outside=True)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def _submit(
        self, jobs: Sequence[Job[T]], *, durable: bool, rows: int | None, outside: bool
    ) -> list[T | BaseException]:
        if not self._accepting:
            raise PublishRejected("the bus is closed")
        if len(self._waiting) > _WAITING:
            raise Overloaded("too many writes wait for the disk")
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        work = Work(jobs, partial(_set, future), durable=durable, rows=rows, outside=outside)
        self._waiting.append(work)
        self._idle.clear()
        self._flush_soon()
        try:
            return await future
        except asyncio.CancelledError:
            work.abandoned = True
            raise

    async def close(self, deadline_s: float) -> None:
        """Commit what was accepted and end the threads; after `deadline_s` what still waits is rejected."""
        self._accepting = False
        try:
            await asyncio.wait_for(self._idle.wait(), max(deadline_s, 0.0))
        except TimeoutError:
            self._committer.give_up()
            await self._idle.wait()
        self._groups.put(None)
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._thread.join()
        self._syncer.close()
        self._connection.close()

    # --- on the loop ----------------------------------------------------------------------------

    def _flush_soon(self) -> None:
        if not self._flush_comes and not self._thread_is_busy:
            self._flush_comes = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_comes = False
        if self._thread_is_busy or not self._waiting:
            return
        group = [self._waiting.popleft() for _ in range(min(_GROUP, len(self._waiting)))]
        if _is_small(group) and self._committer.try_begin():
            self._finished(*self._committer.finish(group))
        else:
            self._thread_is_busy = True
            self._groups.put(group)

    def _back_from_thread(self, told: list[Told], changes: Changes) -> None:
        self._thread_is_busy = False
        self._finished(told, changes)

    def foreign_version(self) -> int | None:
        """As the committer's; None when the connection is in use just now. Raises sqlite3.Error."""
        return None if self._thread_is_busy else self._committer.foreign_version()

    def _finished(self, told: list[Told], changes: Changes) -> None:
        waiting = [one for one in told if one[0].durable]
        if waiting:
            self._syncer.after_next(partial(self._synced, waiting))
        for work, outcomes in told:
            if not work.durable:
                work.tell(outcomes)
        self._on_commit(changes)
        if self._waiting:
            self._flush_soon()
        else:
            self._idle.set()

    @staticmethod
    def _tell(told: list[Told], error: OSError | None) -> None:
        for work, outcomes in told:
            if error is None:
                work.tell(outcomes)
            else:
                work.tell([PublishUnknown(f"the sync after the commit failed: {error}")] * len(outcomes))

    # --- on the threads -------------------------------------------------------------------------

    def _run(self) -> None:
        while (group := self._groups.get()) is not None:
            told, changes = self._committer.run(group)
            self._loop.call_soon_threadsafe(self._back_from_thread, told, changes)

    def _synced(self, told: list[Told], error: OSError | None) -> None:
        self._loop.call_soon_threadsafe(self._tell, told, error)


def _is_small(group: Sequence[Work]) -> bool:
    rows = 0
    for work in group:
        if work.rows is None or work.outside:
            return False
        rows += work.rows
    return rows <= _FEW_ROWS


def _set(future: asyncio.Future[list[Any]], outcomes: list[Any]) -> None:
    if not future.done():
        future.set_result(outcomes)
