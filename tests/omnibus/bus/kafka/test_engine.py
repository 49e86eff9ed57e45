"""What only the Kafka engine has: topics as they must be, local copies, what is seen of a group, how it is reached."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import confluent_kafka
import pytest
from aiokafka.protocol.transaction import EndTxnRequest

from omnibus.bus.kafka import Access, KafkaBus
from omnibus.bus.kafka.batches import Compression, pack
from omnibus.bus.kafka.changelog import POSITION
from omnibus.bus.kafka.codes import check
from omnibus.bus.kafka.produce import Transactions
from omnibus.bus.port import Out, Record, StageSpec, StoreSpec, TopicSpec
from omnibus.bus.topics import Topics
from omnibus.errors import Misconfigured, TopicMismatch
from omnibus.stage.contract import Ctx, Timer
from omnibus.testing.ports import free_ports

if TYPE_CHECKING:
    from tests.omnibus.bus.kafka.conftest import MakeBus

pytestmark = pytest.mark.connected
SPEC = StageSpec(name="keep", inputs=("e.in",), stores=(StoreSpec(name="kept"),))


class Keep:
    """Keeps values and forgets those that are to be forgotten; ``die`` makes it fail for good."""

    def process(self, record: Record, ctx: Ctx) -> None:
        assert record.key is not None
        if record.value == b"forget":
            ctx.store("kept").delete(record.key)
        else:
            ctx.store("kept").put(record.key, record.value or b"")

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        raise AssertionError("it sets none")


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    ends = time.monotonic() + 30
    while not await holds():
        assert time.monotonic() < ends, "it never came true"
        await asyncio.sleep(0.02)


async def caught_up(bus: KafkaBus, group: str = "keep") -> None:
    async def yes() -> bool:
        lags = await bus.lag(group)
        return bool(lags) and not any(lags.values())

    await eventually(yes)


@pytest.fixture
async def bus(make_bus: MakeBus) -> Any:
    opened = await make_bus()
    await opened.ensure_topics([TopicSpec(name="e.in", partitions=3, retention_ms=60_000)])
    yield opened
    await opened.admin.delete([spec.name for spec in await opened.topics()])


async def test_every_setting_is_on_the_topic_and_follows_the_configuration(bus: KafkaBus) -> None:
    (found,) = await bus.admin.topics(["e.in"])
    assert found.own["min.insync.replicas"] == "1", "one broker: one copy"
    assert found.own["retention.ms"] == "60000"
    longer = TopicSpec(name="e.in", partitions=3, retention_ms=120_000)
    assert [str(d) for d in bus.admin.differences(longer, found)] == [
        "e.in: retention.ms is 60000, the configuration needs 120000"
    ]
    await bus.ensure_topics([longer])
    (found,) = await bus.admin.topics(["e.in"])
    assert bus.admin.differences(longer, found) == []


async def test_a_start_refuses_partitions_and_cleanup_that_are_not_right(bus: KafkaBus) -> None:
    with pytest.raises(TopicMismatch, match="exists with 3 partitions, but the configuration asks for 6"):
        await bus.ensure_topics([TopicSpec(name="e.in", partitions=6)])
    with pytest.raises(TopicMismatch, match=r"cleanup\.policy=delete, but compact is needed"):
        await bus.ensure_topics([TopicSpec(name="e.in", partitions=3, kind="table")])


async def test_a_lost_copy_is_read_back_with_its_deletions(bus: KafkaBus, make_bus: MakeBus) -> None:
    outs = [Out("e.in", f"k{n}".encode(), str(n).encode()) for n in range(300)]
    await bus.publisher("p").publish([*outs, *(Out("e.in", f"k{n}".encode(), b"forget") for n in range(0, 300, 3))])
    runner = bus.run_stage(SPEC, lambda task: Keep())
    await runner.start()
    await caught_up(bus)
    await runner.drain(5.0)
    elsewhere = await make_bus(state="a new disk")
    again = elsewhere.run_stage(SPEC, lambda task: Keep())
    await again.start()

    async def ready() -> bool:
        return len(again.health.tasks) == 3 and again.health.ready

    await eventually(ready)
    kept: dict[bytes, bytes] = {}
    for part in again._parts.values():  # type: ignore[attr-defined]  # the port has no way to look into a task's state
        kept |= {key[1:]: value for key, value in part.changelog.store.scan(b"\x10", None, 1_000)}
    assert kept == {f"k{n}".encode(): str(n).encode() for n in range(300) if n % 3}


async def test_a_copy_of_another_changelog_is_not_trusted(bus: KafkaBus, make_bus: MakeBus) -> None:
    """The changelog was deleted and made anew: what the disk says is of another life."""
    await bus.publisher("p").publish([Out("e.in", b"old", b"1", partition=0)])
    first = bus.run_stage(SPEC, lambda task: Keep())
    await first.start()
    await caught_up(bus)
    await first.drain(5.0)
    await bus.admin.delete([bus.core.state_topic("keep"), "e.in"])
    await bus.ensure_topics([TopicSpec(name="e.in", partitions=3)])
    await bus.publisher("q").publish([Out("e.in", b"new", b"2", partition=0)])
    again = await make_bus()
    second = again.run_stage(SPEC, lambda task: Keep())
    await second.start()

    async def new_is_kept() -> bool:
        return second.health.processed_total == 1

    await eventually(new_is_kept)
    store = second._parts[0].changelog.store  # type: ignore[attr-defined]  # as above
    assert store.scan(b"\x10", None, 10) == [(b"\x10new", b"2")]


async def test_health_is_not_ready_before_the_group_has_spoken(bus: KafkaBus) -> None:
    runner = bus.run_stage(SPEC, lambda task: Keep())
    await runner.start()
    assert not runner.health.ready
    await caught_up(bus)

    async def ready() -> bool:
        return runner.health.ready and len(runner.health.tasks) == 3

    await eventually(ready)


async def test_the_position_is_the_last_record_of_every_commit(bus: KafkaBus) -> None:
    runner = bus.run_stage(SPEC, lambda task: Keep())
    await runner.start()
    await bus.publisher("p").publish([Out("e.in", b"k", str(n).encode(), partition=1) for n in range(50)])
    await caught_up(bus)
    records = await bus.read(bus.core.state_topic("keep"), 1, 0)
    assert records[-1].key == POSITION
    assert {record.key for record in records} == {b"\x10k", POSITION}


async def test_nobody_there_is_a_sentence(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    bus = KafkaBus([f"127.0.0.1:{port}"], topics=Topics("t"), state_dir=tmp_path)
    with pytest.raises(Misconfigured, match=f"no Kafka broker answers at 127.0.0.1:{port}"):
        await bus.open()


def test_a_login_without_a_password_is_a_sentence() -> None:
    with pytest.raises(Misconfigured, match="SCRAM-SHA-512 needs a username and a password"):
        Access(mechanism="SCRAM-SHA-512", username="omnibus").client_arguments()
    with pytest.raises(Misconfigured, match="needs a token"):
        Access(mechanism="OAUTHBEARER").client_arguments()


@pytest.mark.parametrize("compression", ["zstd", "lz4", "snappy", "gzip", "none"])
async def test_other_clients_read_what_is_written_however_it_is_compressed(
    make_bus: MakeBus, broker: list[str], compression: str
) -> None:
    topic = f"e.{compression}"
    bus = await make_bus(compression=compression)
    await bus.ensure_topics([TopicSpec(name=topic, partitions=1)])
    values = [b"%d " % n * 100 for n in range(50)]
    await bus.publisher("p").publish([Out(topic, b"k", value) for value in values])
    assert [record.value for record in await bus.read(topic, 0, 0)] == values
    reader = confluent_kafka.Consumer({"bootstrap.servers": ",".join(broker), "group.id": f"read-{uuid.uuid4().hex}"})
    try:
        reader.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        found = await asyncio.to_thread(reader.consume, len(values), 30.0)
        assert [message.value() for message in found] == values
    finally:
        reader.close()


def test_a_batch_says_how_it_is_compressed() -> None:
    """The lowest three bits of its attributes (https://kafka.apache.org/documentation/#recordbatch)."""
    (large,) = pack([(("t", 0), (0, b"k", b"v" * 5_000, ()))], 1_000_000)
    kinds: dict[Compression, int] = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
    for compression, kind in kinds.items():
        data = large.encoded(7, 0, 0, False, compression)
        assert int.from_bytes(data[21:23], "big") & 7 == kind
        assert (len(data) < 1_000) == (compression != "none")
    (small,) = pack([(("t", 0), (0, b"k", b"v" * 50, ()))], 1_000_000)
    assert int.from_bytes(small.encoded(7, 0, 0, False, "zstd")[21:23], "big") & 7 == 0


async def test_who_asks_again_finds_in_a_table_what_is_being_committed(bus: KafkaBus) -> None:
    """The topics of a commit become visible one by one: an agent who has a conversation from its queue may ask for it
    before the table shows it."""
    await bus.ensure_topics([TopicSpec(name="e.table", partitions=1, kind="table")])
    table = await bus.global_table("e.table")
    core = bus.core
    transactions = Transactions(core.wire, f"open-{uuid.uuid4().hex}", "open", core.limits)
    await transactions.fence()
    producer = transactions._sequences
    assert producer is not None
    await transactions._add_partitions(producer, [("e.table", 0)])
    await transactions._send(producer, pack([(("e.table", 0), (0, b"k", b"v", ()))], 1_000))

    asking = asyncio.create_task(bus.global_table("e.table"))
    await asyncio.wait([asking], timeout=0.5)
    assert not asking.done()
    assert table.get(b"k") is None
    end = EndTxnRequest(transactions.id, producer.producer_id, producer.epoch, True)
    check("committing", (await core.wire.call(transactions._coordinator, end, "open")).error_code)
    assert (await asking).get(b"k") == b"v"


async def test_a_table_asked_for_twice_at_once_is_followed_once(bus: KafkaBus) -> None:
    await bus.ensure_topics([TopicSpec(name="e.table", partitions=2, kind="table")])
    await bus.publisher("p").publish([Out("e.table", b"k", b"v")])
    one, other = await asyncio.gather(bus.global_table("e.table"), bus.global_table("e.table"))
    assert one is other
    assert one.get(b"k") == b"v"
    assert not list(bus.core.state_file("table.e.table", 0).parent.glob("*.private*"))
