"""What commits together: a few partitions of a stage, always the same ones, behind one fence.

A transaction costs a broker about the same for one partition's records or three's, so the partitions of a stage are
grouped once and for all by their number. A group, here a strand, has one transactional id and one owner; whatever its
partitions have to commit at the same moment is one transaction.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from omnibus.bus.kafka.batches import Row, pack
from omnibus.bus.kafka.pace import Pace
from omnibus.bus.kafka.produce import Transactions
from omnibus.bus.kafka.wire import Tp
from omnibus.errors import Fenced, TryAgain

_FEW = 4
"""So many partitions each have a strand of their own."""
_TOGETHER = 3
"""So many partitions share a strand where there are more."""


@dataclass(frozen=True)
class Strands:
    """Which partitions belong together. It follows from their number alone, which never changes: two processes that
    saw it differently would not fence each other."""

    partitions: int
    count: int

    @staticmethod
    def of_stage(partitions: int) -> Strands:
        return Strands(partitions, min(partitions, max(_FEW, -(-partitions // _TOGETHER))))

    @staticmethod
    def of_sink(partitions: int) -> Strands:
        """One for each partition: a sink waits for others, not for the brokers."""
        return Strands(partitions, partitions)

    def of(self, partition: int) -> int:
        return partition % self.count

    def members(self, strand: int) -> range:
        return range(strand, self.partitions, self.count)


@dataclass
class _Joining:
    """What one partition has to commit, and the future of the offset of its last record in each partition."""

    rows: Sequence[tuple[Tp, Row]]
    done: asyncio.Future[dict[Tp, int]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Strand:
    """The transactions of one strand while this process owns it. Every failure ends the fence for all its partitions:
    each begins afresh, and whatever it had read before the next fence is void."""

    def __init__(self, transactions: Transactions, pace: Pace, batch_bytes: int) -> None:
        self.commit_at = 0.0
        """When the next commit should begin, on the monotonic clock."""
        self._transactions = transactions
        self._pace = pace
        self._batch_bytes = batch_bytes
        self._fences = 0
        self._fenced = False
        self._taken = False
        self._opening = asyncio.Lock()
        self._waiting: list[_Joining] = []
        self._committing: asyncio.Task[None] | None = None
        self._wakes: set[asyncio.Event] = set()

    async def open(self, wake: asyncio.Event) -> int:
        """The number of the fence that holds now, taken if there is none. `wake` is set when it holds no longer.

        Raises TimeoutError, BrokerRefused.
        """
        self._wakes.add(wake)
        async with self._opening:
            if not self._fenced:
                await self._quiet()
                await self._transactions.fence()
                self._fences += 1
                self._fenced = True
            return self._fences

    def check(self, fence: int) -> None:
        """Raise TryAgain when that fence holds no longer: a commit of another partition of the strand failed.

        Raise Fenced when that was because another process has taken it: who then fences at once would do so in turn.
        """
        if self._fenced and fence == self._fences:
            return
        if self._taken and not self._fenced:
            raise Fenced(f"{self._transactions.id} was taken over")
        raise TryAgain("another partition of the strand failed, and the fence with it")

    async def commit(self, fence: int, rows: Sequence[tuple[Tp, Row]]) -> dict[Tp, int]:
        """Write the rows in one transaction, with what the others of the strand have; the offset of the last record
        written to each partition. Raises what `check` and `Transactions.commit` raise."""
        self.check(fence)
        joining = _Joining(rows)
        self._waiting.append(joining)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all(), name=f"commit {self._transactions.id}")
        return await joining.done

    async def leave(self, wake: asyncio.Event) -> None:
        """One of its partitions ends; with the last one, what is under way is given up."""
        self._wakes.discard(wake)
        if not self._wakes:
            if self._committing is not None:
                self._committing.cancel()
            await self._quiet()
            self._failed(self._waiting, asyncio.CancelledError())
            await self._transactions.discard()

    async def _quiet(self) -> None:
        """Until no commit is under way."""
        if self._committing is not None:
            await asyncio.wait([self._committing])

    async def _commit_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # those that are ready in the same turn of the loop travel along
            group, self._waiting = self._waiting, []
            try:
                last = await self._commit(group)
            except BaseException as error:
                self._failed([*group, *self._waiting], error)
                await self._transactions.discard()
                if not isinstance(error, Exception):
                    raise
            else:
                for one in group:
                    if not one.done.done():
                        one.done.set_result(last)

    async def _commit(self, group: Sequence[_Joining]) -> dict[Tp, int]:
        began = time.monotonic()
        self.commit_at = began + self._pace.interval_s
        rows = [row for one in group for row in one.rows]
        last = await self._transactions.commit(pack(rows, self._batch_bytes))
        self._pace.took(time.monotonic() - began)
        return last

    def _failed(self, all_of_them: Sequence[_Joining], error: BaseException) -> None:
        self._fenced = False
        self._taken = isinstance(error, Fenced)
        self._waiting = []
        for one in all_of_them:
            if one.done.done():
                continue
            if isinstance(error, Exception):
                one.done.set_exception(error)
            else:
                one.done.cancel()
        for wake in self._wakes:
            wake.set()
