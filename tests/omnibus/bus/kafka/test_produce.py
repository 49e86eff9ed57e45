"""Transactions and appends against a broker that answers with any error: a failed step is never "committed"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

from omnibus.bus.kafka.batches import Batch, Row, pack
from omnibus.bus.kafka.codes import BrokerRefused, Unanswered
from omnibus.bus.kafka.limits import Limits
from omnibus.bus.kafka.produce import Appends, Transactions
from omnibus.bus.kafka.wire import UNCOMMITTED, Tp, Wire
from omnibus.errors import Fenced

if TYPE_CHECKING:
    from tests.omnibus.bus.kafka.conftest import MockCluster

PRODUCE, INIT, ADD_PARTITIONS, ADD_OFFSETS, END, COMMIT_OFFSETS = 0, 22, 24, 25, 26, 28
CODES = (-1, 10, 29, 45, 47, 48, 51, 59, 87, 90)
LIMITS = Limits(request_timeout_s=2.0, fence_timeout_s=5.0, publish_timeout_s=1.5)


def batches(*values: bytes) -> list[Batch]:
    """One record to each of two partitions for every value."""
    rows: list[tuple[Tp, Row]] = [(("out", part), (1, b"k", value, ())) for value in values for part in (0, 1)]
    return pack(rows, 100_000)


async def stored(wire: Wire) -> list[bytes]:
    """What the log holds, aborted or not: the mock hides nothing (and its markers have no checksum)."""
    found: list[bytes] = []
    for partition in (0, 1):
        at, end = 0, 1
        while at < end:
            request = FetchRequest(0, 1, 100_000, UNCOMMITTED, [("out", [(partition, at, 100_000)])])
            answer = await wire.call(wire.any_broker(), request)
            ((_, ((_, _, end, *_, data),)),) = answer.topics
            batches = MemoryRecords(data)
            while batches.has_next():
                batch = batches.next_batch()
                at = batch.next_offset
                if not batch.is_control_batch:
                    found.extend(record.value or b"" for record in batch)
    return found


async def fenced(mock: MockCluster, wire: Wire) -> Transactions:
    mock.make_topic("out", 2)
    await wire.refresh()
    transactions = Transactions(wire, "app.stage.0", "lane", LIMITS)
    await transactions.fence()
    return transactions


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("api", [PRODUCE, ADD_PARTITIONS, END], ids=["Produce", "AddPartitions", "EndTxn"])
async def test_an_error_anywhere_fails_the_commit(mock: MockCluster, wire: Wire, api: int, code: int) -> None:
    """All of kafka's answers but success; a broker that only asks to wait (CONCURRENT_TRANSACTIONS) is waited for."""
    transactions = await fenced(mock, wire)
    mock.fail(api, code)
    if (api, code) == (ADD_PARTITIONS, 51):
        await transactions.commit(batches(b"1"))
        assert await stored(wire) == [b"1", b"1"]
        return
    with pytest.raises((Fenced, BrokerRefused)):
        await transactions.commit(batches(b"1"))


@pytest.mark.parametrize("code", CODES)
async def test_after_a_failure_a_producer_writes_nothing_until_it_is_fenced_anew(
    mock: MockCluster, wire: Wire, code: int
) -> None:
    transactions = await fenced(mock, wire)
    await transactions.commit(batches(b"before"))
    mock.fail(PRODUCE, code)
    with pytest.raises((Fenced, BrokerRefused)):
        await transactions.commit(batches(b"failed"))
    with pytest.raises(Fenced):
        await transactions.commit(batches(b"forbidden"))
    await transactions.discard()
    await transactions.fence()
    await transactions.commit(batches(b"after"))
    assert b"forbidden" not in await stored(wire)
    assert (await stored(wire)).count(b"after") == 2


async def test_positions_travel_as_records_so_offsets_are_no_part_of_a_transaction(
    mock: MockCluster, wire: Wire
) -> None:
    """AddOffsetsToTxn and TxnOffsetCommit cannot fail a commit, or be left out of one: they are never sent."""
    transactions = await fenced(mock, wire)
    await transactions.commit(batches(b"1"))
    await transactions.commit(batches(b"2"))
    assert {INIT, ADD_PARTITIONS, PRODUCE, END} <= set(mock.asked())
    assert not {ADD_OFFSETS, COMMIT_OFFSETS} & set(mock.asked())


async def test_fencing_waits_for_what_the_last_owner_left(mock: MockCluster, wire: Wire) -> None:
    mock.make_topic("out", 2)
    mock.fail(INIT, 51, 14, 51, 16)
    transactions = Transactions(wire, "app.stage.0", "lane", LIMITS)
    await transactions.fence()
    await transactions.commit(batches(b"1"))


async def test_a_fence_that_is_not_allowed_is_not_tried_for_ever(mock: MockCluster, wire: Wire) -> None:
    mock.fail(INIT, 53)
    with pytest.raises(BrokerRefused, match="TRANSACTIONAL_ID_AUTHORIZATION_FAILED"):
        await Transactions(wire, "app.stage.0", "lane", LIMITS).fence()


@pytest.mark.parametrize("code", [6, 7, 19])
async def test_an_append_is_tried_again_and_stored_once(mock: MockCluster, wire: Wire, code: int) -> None:
    mock.make_topic("out", 2)
    await wire.refresh()
    mock.fail(PRODUCE, code)
    outcome = await Appends(wire, "lane", LIMITS).append(batches(b"1"))
    assert outcome == {0: 0, 1: 0}
    assert await stored(wire) == [b"1", b"1"]


async def test_a_refused_append_says_that_nothing_is_stored_and_the_next_one_goes_through(
    mock: MockCluster, wire: Wire
) -> None:
    mock.make_topic("out", 2)
    await wire.refresh()
    appends = Appends(wire, "lane", LIMITS)
    mock.fail(PRODUCE, 10)
    refused = await appends.append(batches(b"1"))
    assert all(isinstance(result, BrokerRefused) for result in refused.values())
    assert set((await appends.append(batches(b"2"))).values()) == {0}
    assert await stored(wire) == [b"2", b"2"]


async def test_an_append_without_an_answer_is_unknown_after_its_time(mock: MockCluster, wire: Wire) -> None:
    mock.make_topic("out", 2)
    await wire.refresh()
    mock.fail(PRODUCE, *[19] * 50)
    outcome = await Appends(wire, "lane", LIMITS).append(batches(b"1"))
    assert all(isinstance(result, Unanswered) for result in outcome.values())
