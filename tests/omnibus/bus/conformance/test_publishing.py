"""Invariants of publishing, on every engine: durability, order, partitions, cursors, tables."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from omnibus.bus.partition import partition_of
from omnibus.bus.port import Bus, Out, TopicSpec
from omnibus.errors import Fenced, PublishRejected, TopicMismatch

if TYPE_CHECKING:
    from tests.omnibus.bus.conformance.conftest import Engine


async def test_offsets_strictly_increase_and_the_order_given_is_kept(bus: Bus, engine: Engine) -> None:
    """Invariant 4."""
    outs = [Out("test.in", b"same key", str(n).encode()) for n in range(700)]
    positions = [*await bus.publisher("p").publish(outs[:400]), *await bus.publisher("q").publish(outs[400:])]

    offsets = [position.offset for position in positions]
    assert offsets == sorted(set(offsets))
    records = await engine.records(bus, "test.in")
    assert [record.value for record in records] == [out.value for out in outs]
    assert [record.offset for record in records] == offsets


async def test_what_was_acknowledged_survives_kill_9(bus: Bus, engine: Engine) -> None:
    """Invariant 6."""
    publisher = await engine.spawn("publisher", input="test.in")
    await publisher.says("acknowledged", 50)
    await publisher.kill()

    values = await engine.values(bus, "test.in")
    for n, offset in zip(publisher.all("acknowledged"), publisher.all("offset"), strict=True):
        assert values[offset] == str(n).encode()


async def test_the_same_key_has_the_same_partition_everywhere(bus: Bus) -> None:
    """Invariant 9: murmur2, as Kafka's own clients do it."""
    keys = [f"key-{n}".encode() for n in range(50)] + [b"", "schlüssel".encode(), b"\x00\xff"]
    positions = await bus.publisher("p").publish([Out("test.in", key, b"v") for key in keys])
    assert [position.partition for position in positions] == [partition_of(key, 4) for key in keys]


async def test_an_explicit_partition_wins_and_a_null_key_goes_round(bus: Bus) -> None:
    publisher = bus.publisher("p")
    (explicit,) = await publisher.publish([Out("test.in", b"k", b"v", partition=3)])
    assert explicit.partition == 3
    spread = await publisher.publish([Out("test.in", None, b"v") for _ in range(8)])
    assert sorted(position.partition for position in spread) == [0, 0, 1, 1, 2, 2, 3, 3]


async def test_a_record_comes_back_as_it_was_given(bus: Bus) -> None:
    headers = (("ce_id", b"1"), ("ce_id", b"2"), ("ünicode", b"\x00\xff"))
    (at,) = await bus.publisher("p").publish([Out("test.in", b"\x00k", b"\xffv", headers, ts_ms=12345)])
    (record,) = await bus.read("test.in", at.partition, at.offset)
    assert (record.key, record.value, record.headers, record.ts_ms) == (b"\x00k", b"\xffv", headers, 12345)
    (null,) = await bus.publisher("p").publish([Out("test.in", None, None)])
    (record,) = await bus.read("test.in", null.partition, null.offset)
    assert (record.key, record.value, record.headers) == (None, None, ())


@pytest.mark.parametrize(
    "bad",
    [
        Out("test.unknown", b"k", b"v"),
        Out("test.in", b"k", b"v", partition=4),
        Out("test.in", b"k", b"x" * 1_000_001),
        Out("test.table", None, b"v"),
    ],
    ids=["unknown topic", "no such partition", "too large", "a table needs keys"],
)
async def test_a_rejected_publish_stores_nothing(bus: Bus, engine: Engine, bad: Out) -> None:
    with pytest.raises(PublishRejected):
        await bus.publisher("p").publish([Out("test.in", b"k", b"good"), bad])
    assert await engine.values(bus, "test.in") == []


async def test_a_closed_publisher_finishes_what_it_accepted_and_takes_no_more(bus: Bus, engine: Engine) -> None:
    publisher = bus.publisher("p")
    accepted = [asyncio.ensure_future(publisher.publish([Out("test.in", b"k", b"v")])) for _ in range(20)]
    await asyncio.sleep(0)
    await publisher.close()
    assert all(call.done() for call in accepted)
    with pytest.raises(PublishRejected):
        await publisher.publish([Out("test.in", b"k", b"late")])
    assert len(await engine.values(bus, "test.in")) == 20


async def test_a_cursor_moves_with_its_records_and_fences_the_older_instance(bus: Bus, engine: Engine) -> None:
    old, new = bus.publisher("old"), (await engine.open()).publisher("new")
    assert await old.cursor("mailbox") is None
    await old.publish_with_cursor([Out("test.in", b"k", b"1")], "mailbox", b"uid 1")

    assert await new.cursor("mailbox") == b"uid 1"
    with pytest.raises(Fenced):
        await old.publish_with_cursor([Out("test.in", b"k", b"zombie")], "mailbox", b"uid 2")
    await new.publish_with_cursor([Out("test.in", b"k", b"2")], "mailbox", b"uid 2")

    assert await engine.values(bus, "test.in") == [b"1", b"2"]
    assert await new.cursor("mailbox") == b"uid 2"


async def test_topics_are_made_once_and_never_change_their_partitions(bus: Bus) -> None:
    await bus.ensure_topics([TopicSpec(name="test.in", partitions=4, retention_ms=3_600_000)])
    with pytest.raises(TopicMismatch, match="partitions"):
        await bus.ensure_topics([TopicSpec(name="test.new", partitions=1), TopicSpec(name="test.in", partitions=5)])
    with pytest.raises(TopicMismatch):
        await bus.ensure_topics([TopicSpec(name="test.in", partitions=4, kind="table")])
    assert {spec.name: spec.partitions for spec in await bus.topics()}["test.in"] == 4


async def test_a_global_table_that_is_asked_for_has_what_was_published_before(bus: Bus, engine: Engine) -> None:
    """Every time, not only the first: who was told of a record elsewhere finds it."""
    elsewhere, publisher = await engine.open(), bus.publisher("p")
    for n in range(20):
        await publisher.publish([Out("test.table", b"k%d" % n, b"%d" % n)])
        table = await elsewhere.global_table("test.table")
        assert table.get(b"k%d" % n) == b"%d" % n


async def test_versions_in_a_global_table_only_grow(bus: Bus, engine: Engine) -> None:
    """Invariant 18, seen from another member while one writes."""
    publisher, elsewhere = bus.publisher("p"), await engine.open()
    await publisher.publish([Out("test.table", b"k", b"0")])
    table = await elsewhere.global_table("test.table")
    assert table.get(b"k") == b"0", "loaded when it is handed out"
    seen: list[int] = []

    async def look() -> bool:
        seen.append(int(table.get(b"k") or b"-1"))
        return seen[-1] == 30

    watching = asyncio.create_task(engine.eventually(look))
    for version in range(1, 31):
        await publisher.publish([Out("test.table", b"k", str(version).encode())])
    await watching
    assert seen == sorted(seen)


async def test_a_table_keeps_the_latest_and_forgets_the_deleted(bus: Bus, engine: Engine) -> None:
    publisher = bus.publisher("p")
    await publisher.publish([Out("test.table", f"a{n}".encode(), str(n).encode()) for n in range(5)])
    await publisher.publish(
        [Out("test.table", b"b", b"x"), Out("test.table", b"a1", b"new"), Out("test.table", b"a2", None)]
    )
    table = await bus.global_table("test.table")

    async def loaded() -> bool:
        return table.get(b"a2") is None and table.get(b"b") == b"x"

    await engine.eventually(loaded)
    assert table.scan(b"a") == [(b"a0", b"0"), (b"a1", b"new"), (b"a3", b"3"), (b"a4", b"4")]
    assert table.scan(limit=2) == [(b"a0", b"0"), (b"a1", b"new")]


async def test_a_follower_sees_every_record_from_where_it_began(bus: Bus, engine: Engine) -> None:
    publisher = bus.publisher("p")
    await publisher.publish([Out("test.in", b"k", b"before")])
    following = (await engine.open()).follow("test.in")
    await publisher.publish([Out("test.in", f"k{n}".encode(), str(n).encode()) for n in range(20)])
    seen: list[bytes] = []
    async with asyncio.timeout(30):
        async for records in following:
            seen.extend(record.value or b"" for record in records)
            if len(seen) == 20:
                break
    assert sorted(seen, key=int) == [str(n).encode() for n in range(20)]
