"""Partitions that commit together: one transaction, one fence, one failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from omnibus.bus.kafka.batches import Row
from omnibus.bus.kafka.codes import BrokerRefused
from omnibus.bus.kafka.limits import Limits
from omnibus.bus.kafka.pace import Pace
from omnibus.bus.kafka.produce import Transactions
from omnibus.bus.kafka.strand import Strand, Strands
from omnibus.bus.kafka.wire import Tp, Wire
from omnibus.errors import Fenced, TryAgain

if TYPE_CHECKING:
    from tests.omnibus.bus.kafka.conftest import MockCluster

PRODUCE, INIT, END = 0, 22, 26
TOO_LARGE, INVALID_EPOCH = 10, 47
LIMITS = Limits(request_timeout_s=5.0, fence_timeout_s=10.0)


async def strand_of(mock: MockCluster, wire: Wire) -> Strand:
    mock.make_topic("out", 2)
    await wire.refresh()
    return Strand(Transactions(wire, "app.stage.0", "lane", LIMITS), Pace((5.0, 250.0)), 100_000)


def row(partition: int, value: bytes) -> list[tuple[Tp, Row]]:
    return [(("out", partition), (1, b"k", value, ()))]


def test_few_partitions_commit_alone_and_many_in_threes() -> None:
    assert [Strands.of_stage(partitions).count for partitions in (1, 4, 6, 12, 24, 48)] == [1, 4, 4, 4, 8, 16]
    assert Strands.of_sink(12).count == 12


def test_every_partition_is_in_one_strand() -> None:
    for partitions in (1, 5, 12, 48):
        strands = Strands.of_stage(partitions)
        members = [partition for number in range(strands.count) for partition in strands.members(number)]
        assert sorted(members) == list(range(partitions))
        assert all(partition in strands.members(strands.of(partition)) for partition in range(partitions))


async def test_what_is_ready_at_the_same_moment_is_one_transaction(mock: MockCluster, wire: Wire) -> None:
    strand = await strand_of(mock, wire)
    fences = await asyncio.gather(*(strand.open(asyncio.Event()) for _ in range(3)))
    assert fences == [1, 1, 1]
    first, second = await asyncio.gather(strand.commit(1, row(0, b"a")), strand.commit(1, row(1, b"b")))
    assert first == second == {("out", 0): 0, ("out", 1): 0}
    assert await strand.commit(1, row(1, b"c")) == {("out", 1): 2}, "after the marker of the one before"
    assert (mock.asked().count(INIT), mock.asked().count(END)) == (1, 2)


async def test_a_failure_ends_the_fence_for_all(mock: MockCluster, wire: Wire) -> None:
    """Who had nothing to commit is told as well: what it had read may be void."""
    strand = await strand_of(mock, wire)
    wakes = [asyncio.Event() for _ in range(3)]
    for wake in wakes:
        await strand.open(wake)
    mock.fail(PRODUCE, TOO_LARGE)
    results = await asyncio.gather(
        strand.commit(1, row(0, b"a")), strand.commit(1, row(1, b"b")), return_exceptions=True
    )
    assert [type(result) for result in results] == [BrokerRefused, BrokerRefused]
    assert all(wake.is_set() for wake in wakes)
    with pytest.raises(TryAgain):
        strand.check(1)
    assert await asyncio.gather(*(strand.open(wake) for wake in wakes)) == [2, 2, 2]
    with pytest.raises(TryAgain):
        await strand.commit(1, row(0, b"of the state before"))
    await strand.commit(2, row(0, b"again"))


async def test_what_another_process_took_over_is_fenced_for_all(mock: MockCluster, wire: Wire) -> None:
    """Nobody fences again at once: first the group is asked whose the partitions are."""
    strand = await strand_of(mock, wire)
    fence = await strand.open(asyncio.Event())
    mock.fail(PRODUCE, INVALID_EPOCH)
    with pytest.raises(Fenced):
        await strand.commit(fence, row(0, b"a"))
    with pytest.raises(Fenced):
        strand.check(fence)
    assert await strand.open(asyncio.Event()) == 2
    with pytest.raises(TryAgain):
        strand.check(fence)


async def test_who_stopped_waiting_does_not_stop_the_others(mock: MockCluster, wire: Wire) -> None:
    strand = await strand_of(mock, wire)
    await strand.open(asyncio.Event())
    going = asyncio.create_task(strand.commit(1, row(0, b"a")))
    staying = asyncio.create_task(strand.commit(1, row(1, b"b")))
    await asyncio.sleep(0)
    going.cancel()
    assert ("out", 1) in await staying
    assert (await asyncio.gather(going, return_exceptions=True))[0].__class__ is asyncio.CancelledError


async def test_with_its_last_partition_a_strand_ends(mock: MockCluster, wire: Wire) -> None:
    strand = await strand_of(mock, wire)
    first, second = asyncio.Event(), asyncio.Event()
    await strand.open(first)
    await strand.open(second)
    await strand.leave(first)
    strand.check(1)
    under_way = asyncio.create_task(strand.commit(1, row(0, b"a")))
    await asyncio.sleep(0)
    await strand.leave(second)
    assert (await asyncio.gather(under_way, return_exceptions=True))[0].__class__ is asyncio.CancelledError
    with pytest.raises(TryAgain):
        strand.check(1)
