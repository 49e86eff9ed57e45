"""What only the embedded engine promises: the file, dead owners, retention, overload, blobs."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from omnibus import clock
from omnibus.blobs import FolderBlobs, blob_uri
from omnibus.bus.embedded import EmbeddedBus, Limits
from omnibus.bus.embedded.owner import is_dead, new_owner
from omnibus.bus.open import open_bus
from omnibus.bus.port import Bus, Out, Record, StageSpec, TaskId, TopicSpec
from omnibus.bus.topics import Topics
from omnibus.errors import Misconfigured, Overloaded, PublishRejected
from omnibus.stage.contract import Ctx, Timer
from omnibus.stage.step import DATAREF

OpenBus = Callable[..., Awaitable[EmbeddedBus]]


@pytest.fixture
async def open_embedded(tmp_path: Path) -> AsyncIterator[OpenBus]:
    """Opens buses on one folder, with their topics, and closes them."""
    opened: list[EmbeddedBus] = []

    async def opener(*, blobs: FolderBlobs | None = None, limits: Limits | None = None) -> EmbeddedBus:
        bus = EmbeddedBus(tmp_path / "bus", dead_letters="dead", blobs=blobs, limits=limits)
        await bus.open()
        opened.append(bus)
        streams = [TopicSpec(name=name, partitions=2, retention_ms=3_600_000) for name in ("in", "out", "dead")]
        await bus.ensure_topics([*streams, TopicSpec(name="table", partitions=2, kind="table")])
        return bus

    yield opener
    for bus in opened:
        await bus.close()


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    ends = time.monotonic() + 30
    while not await holds():
        assert time.monotonic() < ends, "it never came true"
        await asyncio.sleep(0.01)


class Bodies:
    """Emits the size of each body, and keeps it as a blob."""

    def __init__(self, task: TaskId) -> None:
        pass

    def process(self, record: Record, ctx: Ctx) -> None:
        body = ctx.body(record)
        ctx.emit(Out("out", record.key, str(len(body)).encode(), (("kept", ctx.save_blob(body + b"!").encode()),)))

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        raise AssertionError("no timers here")


async def lag_is_gone(bus: Bus, group: str) -> None:
    async def gone() -> bool:
        lags = await bus.lag(group)
        return bool(lags) and not any(lags.values())

    await eventually(gone)


async def test_bodies_by_reference_are_loaded_and_new_blobs_stored_before_the_commit(
    open_embedded: OpenBus, tmp_path: Path
) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    bus = await open_embedded(blobs=blobs)
    large = b"x" * 300_000
    await blobs.put(blob_uri(large), large)
    missing = blob_uri(b"nowhere")
    await bus.run_stage(StageSpec(name="s", inputs=("in",)), Bodies).start()
    await bus.publisher("p").publish(
        [Out("in", b"k", b"", ((DATAREF, ref.encode()),)) for ref in (blob_uri(large), missing, "nonsense")]
        + [Out("in", b"k", b"inline")]
    )
    await lag_is_gone(bus, "s")
    (_, after) = max((await bus.bounds("out")).values())
    records = [record for part in (0, 1) for record in await bus.read("out", part, 0)]
    assert [record.value for record in records] == [b"300000", b"6"]
    assert await blobs.get((records[0].header("kept") or b"").decode()) == large + b"!"
    dead = [record for part in (0, 1) for record in await bus.read("dead", part, 0)]
    assert [record.header("dead_error") for record in dead] == [b"InvalidPayload", b"InvalidPayload"]
    assert after == 2


async def test_too_much_waiting_for_the_disk_is_overload_and_stores_nothing(open_embedded: OpenBus) -> None:
    bus = await open_embedded(limits=Limits(publish_records=10))
    publisher = bus.publisher("p")
    accepted = asyncio.ensure_future(publisher.publish([Out("in", b"k", b"v")] * 10))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        await bus.publisher("q").publish([Out("in", b"k", b"late")])
    assert refused.value.after > timedelta(0)
    assert len(await accepted) == 10
    await bus.publisher("q").publish([Out("in", b"k", b"later")])


async def test_retention_counts_from_arrival_not_from_the_time_a_record_carries(open_embedded: OpenBus) -> None:
    """An import of old mail is kept as long as mail that came today."""
    manual = clock.ManualClock()
    with clock.use(manual):
        bus = await open_embedded(limits=Limits(retention_every_s=0.02, retention_chunk=3))
        await bus.publisher("p").publish([Out("in", b"old", str(n).encode(), ts_ms=0) for n in range(10)])
        marked = (await bus.bounds("in"))[0], (await bus.bounds("in"))[1]
        for _ in range(30):
            manual.advance(timedelta(minutes=1))
            await asyncio.sleep(0.02)
        assert tuple((await bus.bounds("in")).values()) == marked
        await bus.publisher("p").publish([Out("in", b"old", b"young")])

        async def gone() -> bool:
            manual.advance(timedelta(seconds=20))
            return max(first for first, _ in (await bus.bounds("in")).values()) >= 10

        await eventually(gone)
        left = [record.value for part in (0, 1) for record in await bus.read("in", part, 0)]
        assert left in ([b"young"], [])


async def test_deleted_keys_of_a_table_are_buried_in_time(open_embedded: OpenBus, tmp_path: Path) -> None:
    bus = await open_embedded(limits=Limits(retention_every_s=0.02, tombstone_ms=50))
    await bus.publisher("p").publish([Out("table", b"a", b"1"), Out("table", b"b", b"1"), Out("table", b"a", None)])

    async def buried() -> bool:
        connection = sqlite3.connect(tmp_path / "bus" / "bus.sqlite")
        (kept,) = connection.execute("SELECT count(*) FROM latest").fetchone()
        connection.close()
        return bool(kept == 1)

    await eventually(buried)
    assert (await bus.global_table("table")).scan() == [(b"b", b"1")]


async def test_the_write_ahead_log_is_folded_in_and_the_file_stays_sound(
    open_embedded: OpenBus, tmp_path: Path
) -> None:
    bus = await open_embedded(limits=Limits(checkpoint_bytes=100_000))
    for _ in range(30):
        await bus.publisher("p").publish([Out("in", b"k", b"x" * 10_000)] * 20)

    async def folded_in() -> bool:
        return (tmp_path / "bus" / "bus.sqlite").stat().st_size > 4_000_000

    await eventually(folded_in)
    await bus.close()
    connection = sqlite3.connect(tmp_path / "bus" / "bus.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


async def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bus").mkdir()
    connection = sqlite3.connect(tmp_path / "bus" / "bus.sqlite")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(Misconfigured, match="version 99"):
        await EmbeddedBus(tmp_path / "bus", dead_letters="dead").open()


async def test_followers_end_when_the_bus_is_closed(open_embedded: OpenBus) -> None:
    bus = await open_embedded()
    following = bus.follow("in")

    async def follow_to_the_end() -> int:
        return sum([len(records) async for records in following])

    seeing = asyncio.create_task(follow_to_the_end())
    await bus.publisher("p").publish([Out("in", b"k", b"v")])
    await asyncio.sleep(0)
    await bus.close()
    async with asyncio.timeout(30):
        assert await seeing in (0, 1)


async def test_a_closed_bus_takes_nothing_more(open_embedded: OpenBus) -> None:
    bus = await open_embedded()
    publisher = bus.publisher("p")
    await bus.close()
    await bus.close()
    with pytest.raises(PublishRejected):
        await publisher.publish([Out("in", b"k", b"v")])
    with pytest.raises(Misconfigured):
        await bus.topics()


def _start_time(pid: int) -> str:
    """Field 22 of proc_pid_stat(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


async def test_the_owner_of_a_lease_is_known_to_be_dead_when_its_process_is() -> None:
    sleeper = await asyncio.create_subprocess_exec("sleep", "60")
    mine = new_owner()
    machine, _, start, token = mine.split("/")
    theirs = "/".join([machine, str(sleeper.pid), _start_time(sleeper.pid), token])
    assert not is_dead(mine)
    assert not is_dead(theirs)
    assert is_dead("/".join([machine, str(sleeper.pid), start + "0", token])), "the number was given to another process"
    sleeper.kill()
    await sleeper.wait()
    assert is_dead(theirs)
    assert not is_dead(f"another-machine/{sleeper.pid}/1/x"), "nobody here can know"


@pytest.mark.parametrize(
    "url", ["", "embedded:", "sqlite:./x", "kafka:localhost:9092", "kafka://localhost", "kafka://h:x"]
)
def test_an_address_that_is_no_bus_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(Misconfigured, match="expected"):
        open_bus(url, Topics())


def test_the_default_bus_is_a_folder() -> None:
    assert isinstance(open_bus("embedded:./omnibus-data", Topics()), EmbeddedBus)
