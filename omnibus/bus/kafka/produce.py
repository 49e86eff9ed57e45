"""Writing: transactions of one task, and plain idempotent appends of a publisher.

A producer that failed in any way is never used again. What it left behind is settled by the next `fence` under the
same transactional id: the broker completes or aborts it before it answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Sequence

from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest

from omnibus.bus.kafka import codes
from omnibus.bus.kafka.batches import Batch, rounds
from omnibus.bus.kafka.codes import BrokerRefused, Unanswered, check
from omnibus.bus.kafka.limits import Limits
from omnibus.bus.kafka.wire import Tp, Wire, by_topic
from omnibus.errors import Fenced

_ALL = -1
_NO_TIMEOUT = 2**31 - 1
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.02
_LAST_WORD_S = 1.0


class _Sequences:
    """The identity of a producer and how many records it has sent to each partition."""

    def __init__(self, producer_id: int, epoch: int) -> None:
        self.producer_id = producer_id
        self.epoch = epoch
        self._next: dict[Tp, int] = {}

    def take(self, tp: Tp, count: int) -> int:
        first = self._next.get(tp, 0)
        self._next[tp] = (first + count) & 0x7FFFFFFF
        return first


class Transactions:
    """One transactional producer: fence, then commits one after the other, until the first failure."""

    def __init__(self, wire: Wire, transactional_id: str, lane: Hashable, limits: Limits) -> None:
        self.id = transactional_id
        self._wire = wire
        self._lane = lane
        self._limits = limits
        self._coordinator = -1
        self._sequences: _Sequences | None = None
        self._open: _Sequences | None = None
        """The producer of a transaction that was begun and not asked to be committed."""

    async def fence(self) -> None:
        """Take over the id: older producers are fenced, and the fate of their last transaction is settled and visible.

        Raises TimeoutError, BrokerRefused.
        """
        async with asyncio.timeout(self._limits.fence_timeout_s):
            while True:
                try:
                    self._coordinator = await self._wire.transaction_coordinator(self.id)
                    answer = await self._wire.call(
                        self._coordinator,
                        InitProducerIdRequest(self.id, self._limits.transaction_timeout_ms),
                        self._lane,
                    )
                    check(f"fencing {self.id}", answer.error_code)
                except Unanswered:
                    await self._wire.refresh()
                except BrokerRefused as error:
                    if error.code not in codes.COORDINATOR_MOVED and error.code != codes.CONCURRENT_TRANSACTIONS:
                        raise
                else:
                    self._sequences = _Sequences(answer.producer_id, answer.producer_epoch)
                    return
                await asyncio.sleep(_LONGEST_PAUSE_S)

    async def commit(self, batches: Sequence[Batch]) -> dict[Tp, int]:
        """Write all batches in one transaction; returns the offset of the last record written to each partition.

        Raises Fenced, BrokerRefused, Unanswered (the outcome may be unknown); this producer is dead then.
        """
        sequences, self._sequences = self._sequences, None
        if sequences is None:
            raise Fenced(f"{self.id} failed before: it has to be fenced anew")
        self._open = sequences
        await self._add_partitions(sequences, [*{batch.tp: None for batch in batches}])
        last: dict[Tp, int] = {}
        for group in rounds(batches):
            last |= await self._send(sequences, group)
        self._open = None
        answer = await self._wire.call(
            self._coordinator, EndTxnRequest(self.id, sequences.producer_id, sequences.epoch, True), self._lane
        )
        check(f"committing {self.id}", answer.error_code)
        self._sequences = sequences
        return last

    async def discard(self) -> None:
        """Abort what a failed commit left open, if it can be done at once, so that no reader waits for its time-out."""
        left, self._open, self._sequences = self._open, None, None
        if left is None:
            return
        try:
            request = EndTxnRequest(self.id, left.producer_id, left.epoch, False)
            await self._wire.call(self._coordinator, request, self._lane, _LAST_WORD_S)
        except Unanswered:
            pass  # the next owner's fence aborts it

    async def _add_partitions(self, sequences: _Sequences, tps: list[Tp]) -> None:
        request = AddPartitionsToTxnRequest(self.id, sequences.producer_id, sequences.epoch, by_topic(tps))
        ends = time.monotonic() + self._limits.request_timeout_s
        pause = _FIRST_PAUSE_S
        while True:
            answer = await self._wire.call(self._coordinator, request, self._lane)
            failed = {code for _, partitions in answer.errors for _, code in partitions if code}
            # The markers of the commit before are still being written: the broker asks for a moment.
            if failed != {codes.CONCURRENT_TRANSACTIONS} or time.monotonic() > ends:
                for code in sorted(failed, key=lambda code: code not in codes.FENCED):
                    check(f"adding partitions to {self.id}", code)
                return
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def _send(self, sequences: _Sequences, batches: Sequence[Batch]) -> dict[Tp, int]:
        encoded = {
            batch.tp: batch.encoded(
                sequences.producer_id,
                sequences.epoch,
                sequences.take(batch.tp, len(batch.rows)),
                True,
                self._limits.compression,
            )
            for batch in batches
        }
        offsets = await produce(self._wire, self._lane, self.id, encoded, self._limits.request_timeout_s)
        for tp, (code, _) in offsets.items():
            check(f"writing to {tp[0]}[{tp[1]}]", code)
        return {batch.tp: offsets[batch.tp][1] + len(batch.rows) - 1 for batch in batches}


class Appends:
    """A plain idempotent producer: the same batch may be sent again, and is stored once."""

    def __init__(self, wire: Wire, lane: Hashable, limits: Limits) -> None:
        self._wire = wire
        self._lane = lane
        self._limits = limits
        self._sequences: _Sequences | None = None

    async def append(self, batches: Sequence[Batch]) -> dict[int, int | Exception]:
        """For every batch, by its index, the offset of its first record, or why it was not stored (or may be).

        BrokerRefused: not stored. Unanswered: unknown. Never raises those; a failed producer begins anew.
        """
        outcome: dict[int, int | Exception] = {}
        index = {id(batch): n for n, batch in enumerate(batches)}
        for group in rounds(batches):
            alive = [batch for batch in group if batch.tp not in {batches[n].tp for n in _failed(outcome)}]
            for batch in set(group) - set(alive):
                outcome[index[id(batch)]] = BrokerRefused("an earlier batch of the partition failed", -1)
            for batch, result in (await self._send(alive)).items():
                outcome[index[id(batch)]] = result
        if any(_failed(outcome)):
            self._sequences = None
        return outcome

    async def _send(self, batches: Sequence[Batch]) -> dict[Batch, int | Exception]:
        ends = time.monotonic() + self._limits.publish_timeout_s
        outcome: dict[Batch, int | Exception] = {}
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._limits.publish_timeout_s):
                sequences = self._sequences = self._sequences or await self._identify()
        except (TimeoutError, BrokerRefused) as error:
            return dict.fromkeys(batches, BrokerRefused(f"no producer id: {error}", -1))
        waiting = {
            batch: batch.encoded(
                sequences.producer_id,
                sequences.epoch,
                sequences.take(batch.tp, len(batch.rows)),
                False,
                self._limits.compression,
            )
            for batch in batches
        }
        unsure: set[Batch] = set()
        pause = _FIRST_PAUSE_S
        while waiting:
            answers = await self._attempt(waiting)
            for batch, answer in answers.items():
                if isinstance(answer, Unanswered):
                    unsure.add(batch)
                elif answer[0] in (0, codes.DUPLICATE_SEQUENCE):
                    outcome[batch] = answer[1]
                elif answer[0] in codes.REFUSED or time.monotonic() > ends:
                    outcome[batch] = self._final(batch, answer[0], batch in unsure)
                else:
                    unsure.add(batch)
                if isinstance(answer, Unanswered) and time.monotonic() > ends:
                    outcome[batch] = answer
            waiting = {batch: data for batch, data in waiting.items() if batch not in outcome}
            if waiting:
                await self._wire.refresh()
                await asyncio.sleep(pause)
                pause = min(0.5, pause * 2)
        return outcome

    def _final(self, batch: Batch, code: int, unsure: bool) -> Exception:
        refused = BrokerRefused(f"writing to {batch.tp[0]}[{batch.tp[1]}]", code)
        return Unanswered(str(refused)) if unsure or code not in codes.REFUSED else refused

    async def _attempt(self, waiting: dict[Batch, bytes]) -> dict[Batch, tuple[int, int] | Unanswered]:
        by_tp = {batch.tp: data for batch, data in waiting.items()}
        answers = await try_produce(self._wire, self._lane, None, by_tp, self._limits.request_timeout_s)
        return {batch: answers[batch.tp] for batch in waiting}

    async def _identify(self) -> _Sequences:
        while True:
            try:
                answer = await self._wire.call(
                    self._wire.any_broker(), InitProducerIdRequest(None, _NO_TIMEOUT), self._lane
                )
                check("a producer id", answer.error_code)
            except Unanswered:
                await self._wire.refresh()
            except BrokerRefused as error:
                if error.code not in codes.COORDINATOR_MOVED:
                    raise
            else:
                return _Sequences(answer.producer_id, answer.producer_epoch)
            await asyncio.sleep(_LONGEST_PAUSE_S)


def _failed(outcome: dict[int, int | Exception]) -> list[int]:
    return [n for n, result in outcome.items() if isinstance(result, Exception)]


Answer = tuple[int, int]
"""Error code and offset of the first record."""


async def produce(
    wire: Wire, lane: Hashable, transactional_id: str | None, data: dict[Tp, bytes], timeout_s: float
) -> dict[Tp, Answer]:
    """As `try_produce`, but raises the first Unanswered."""
    answers = await try_produce(wire, lane, transactional_id, data, timeout_s)
    for answer in answers.values():
        if isinstance(answer, Unanswered):
            raise answer
    return {tp: answer for tp, answer in answers.items() if not isinstance(answer, Unanswered)}


async def try_produce(
    wire: Wire, lane: Hashable, transactional_id: str | None, data: dict[Tp, bytes], timeout_s: float
) -> dict[Tp, Answer | Unanswered]:
    """Send one encoded batch to each partition, one request to each leader; what every partition answered."""
    try:
        by_node = await wire.leaders(data)
    except Unanswered as error:
        return dict.fromkeys(data, error)

    async def to_node(node: int, tps: list[Tp]) -> dict[Tp, Answer | Unanswered]:
        topics = [(topic, [(part, data[topic, part]) for part in parts]) for topic, parts in by_topic(tps)]
        request = ProduceRequest(transactional_id, _ALL, int(timeout_s * 1000), topics)
        try:
            answer = await wire.call(node, request, lane, timeout_s)
        except Unanswered as error:
            return dict.fromkeys(tps, error)
        found = {
            (topic, partition): (code, offset)
            for topic, partitions in answer.topics
            for partition, code, offset, *_ in partitions
        }
        return {tp: found.get(tp, Unanswered(f"no word of {tp}")) for tp in tps}

    answers = await asyncio.gather(*(to_node(node, tps) for node, tps in by_node.items()))
    return {tp: answer for part in answers for tp, answer in part.items()}
