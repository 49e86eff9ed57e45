"""`omnibus bus copy`: a whole installation moves from the embedded bus to Kafka in the middle of its conversations."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from omnibus import clock
from omnibus.bus.port import Bus
from omnibus.cli.reading import opened, records
from omnibus.cli.settings import configuration
from omnibus.model.codec import Event
from omnibus.testing.kafka import cluster
from omnibus.testing.pipeline import Pipeline, pipeline
from omnibus.testing.ports import free_port

pytestmark = [pytest.mark.connected, pytest.mark.timeout(300)]
PEOPLE = 40
CONFIG = """
bus: {bus}
blobs: file:{folder}/blobs
http: {{host: 127.0.0.1, port: {port}}}
log: {{level: error}}
channels:
  hook: {{type: webhook}}
queues: {{general: {{}}}}
routes:
  - {{name: everything, to: queue:general}}
sinks:
  files: {{type: jsonl, from: [queue:general], folder: {folder}/queues}}
"""


class Desk(Pipeline):
    """A running installation."""

    def __init__(self, at: Pipeline) -> None:
        super().__init__(at.url, at.bus, at.session)

    async def write(self, person: int, number: int) -> None:
        body = {"id": f"m-{person}-{number}", "from": f"p{person}@example.com", "text": f"{person} says {number}"}
        async with self.session.post(f"{self.url}/in/hook", json=body) as answer:
            assert answer.status == 200

    async def caught_up(self) -> None:
        """Until every queue is in its file, too."""
        ends = time.monotonic() + 60
        while not (lags := await self.bus.lag("sink.files")) or any(lags.values()):
            assert time.monotonic() < ends, lags
            await asyncio.sleep(0.1)


def of_type(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event.type == f"omnibus.{kind}.v1"]


def so_many(kind: str, count: int) -> Callable[[Sequence[Event]], bool]:
    return lambda events: len(of_type(events, kind)) >= count


@asynccontextmanager
async def desk(folder: Path, bus: str) -> AsyncIterator[Desk]:
    port = free_port()
    async with pipeline(folder, CONFIG.format(bus=bus, folder=folder, port=port), port) as at:
        yield Desk(at)


async def copy(folder: Path, target: str, *, kill_after: str = "") -> tuple[int, dict[str, Any], str]:
    """The command; killed when it has said something of `kill_after`."""
    command = [sys.executable, "-m", "omnibus.cli.main", "bus", "copy", "--to", target, "--json"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=pipe, stderr=pipe)
    assert process.stderr is not None
    said = b""
    async for line in process.stderr:
        said += line
        if kill_after and kill_after.encode() in line:
            process.kill()
    out, _ = await process.communicate()
    return process.returncode or 0, json.loads(out) if out else {}, said.decode()


async def by_partition(bus: Bus, topic: str) -> dict[int, list[tuple[bytes | None, bytes | None]]]:
    """The keys and ids of every partition's records, in order."""
    found: dict[int, list[tuple[bytes | None, bytes | None]]] = {}
    async for batch in records(bus, topic):
        for record in batch:
            found.setdefault(record.partition, []).append((record.key, record.header("ce_id")))
    return found


async def test_a_whole_installation_moves_in_the_middle_of_its_conversations(
    tmp_path: Path, later: clock.LaterClock
) -> None:
    home = f"embedded:{tmp_path}/data"
    async with desk(tmp_path, home) as here:
        await asyncio.gather(*(here.write(person, 1) for person in range(PEOPLE)))
        before = await here.until(so_many("message.received", PEOPLE), patience_s=90)
        await here.until(so_many("conversation.assigned", PEOPLE), "omnibus.queue.general", patience_s=90)
        await here.caught_up()
    async with opened(configuration(tmp_path / "omnibus.yaml")) as (bus, _):
        places = {topic: await by_partition(bus, topic) for topic in ("omnibus.events", "omnibus.queue.general")}

    # The test's clock runs ahead of the broker's, which by itself takes no record of more than an hour later.
    with cluster(more={"log.message.timestamp.after.max.ms": "172800000"}) as broker:
        target = f"kafka://{','.join(broker.addresses)}"
        code, _, said = await copy(tmp_path, target, kill_after="omnibus.events:")
        assert code == -9, said
        with pytest.raises(Exception, match="copy to this cluster was interrupted"):
            async with desk(tmp_path, target):
                pass
        (tmp_path / "omnibus.yaml").write_text(CONFIG.format(bus=home, folder=tmp_path, port=1))
        code, found, said = await copy(tmp_path, target)
        assert (code, found.get("differences")) == (0, 0), said
        assert found["records"] > 3 * PEOPLE
        assert found["entries"] > PEOPLE

        async with opened(configuration(tmp_path / "omnibus.yaml", {"bus": target})) as (bus, _):
            for topic, partitions in places.items():
                moved = await by_partition(bus, topic)
                assert moved == partitions
        async with desk(tmp_path, target) as there:
            # A copy of what was written there, and something new, of half of the people.
            writers = range(PEOPLE // 2)
            await asyncio.gather(*(there.write(person, number) for person in writers for number in (1, 2)))
            events = await there.until(so_many("message.received", PEOPLE * 3 // 2), patience_s=90)
            assert conversations(events) == conversations(before), "nobody's conversation began anew"
            assert len(of_type(events, "message.received")) == PEOPLE * 3 // 2, "no copy came through"

            later.ahead_ms = 25 * 3_600_000  # the webhook's conversations close after a day of silence
            events = await there.until(so_many("conversation.closed", PEOPLE), patience_s=90)
            closed = [event.subject for event in of_type(events, "conversation.closed")]
            assert sorted(map(str, closed)) == sorted({str(event.subject) for event in before})
            await there.until(so_many("conversation.closed", PEOPLE), "omnibus.queue.general", patience_s=90)
            await there.caught_up()
    lines = [json.loads(line) for file in (tmp_path / "queues").iterdir() for line in file.read_text().splitlines()]
    ids = [line["id"] for line in lines]
    assert len(ids) == len(set(ids)), "no sink did anything again"


def conversations(events: Sequence[Event]) -> dict[str, str]:
    """The conversation of every person who wrote."""
    received = of_type(events, "message.received")
    return {event.data.message.content.text.split()[0]: str(event.subject) for event in received}


def test_a_source_that_never_ran_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "omnibus.yaml").write_text(CONFIG.format(bus=f"embedded:{tmp_path}/data", folder=tmp_path, port=1))
    code, _, said = asyncio.run(copy(tmp_path, "kafka://127.0.0.1:1"))
    assert code != 0
    assert "there is no embedded bus" in said
