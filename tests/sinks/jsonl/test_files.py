"""JSON lines: whole lines, each event once, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from omnibus import clock
from omnibus.bus.port import Record
from omnibus.clock import ManualClock
from omnibus.errors import TryAgain
from sinks._engine.envelope import Envelope, envelope_of
from sinks.jsonl.files import Folder, JsonlSink
from sinks.jsonl.sink import JsonlSettings

if TYPE_CHECKING:
    from tests.sinks.conftest import Installation


def envelope(number: int, text: str = "hello") -> Envelope:
    headers = {
        "ce_id": f"evt_{number}",
        "ce_type": "omnibus.message.received.v1",
        "ce_source": "/omnibus/normalizer",
        "ce_subject": "conv_1",
        "ce_time": "2026-01-05T09:00:00.000Z",
        "ce_convseq": str(number),
    }
    record = Record(
        topic="omnibus.events",
        partition=0,
        offset=number,
        ts_ms=0,
        key=b"conv_1",
        value=json.dumps({"text": text}).encode(),
        headers=tuple((name, value.encode()) for name, value in headers.items()),
    )
    opened = envelope_of(record)
    assert opened is not None
    return opened


def lines_of(folder: Path) -> list[dict[str, Any]]:
    text = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.jsonl")))
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def ids_of(folder: Path) -> list[str]:
    return [line["id"] for line in lines_of(folder)]


@pytest.fixture
def today() -> Iterator[ManualClock]:
    moved = ManualClock()
    with clock.use(moved):
        yield moved


def test_a_line_is_a_cloudevent(tmp_path: Path) -> None:
    folder = Folder(JsonlSettings(folder=tmp_path))
    folder.append([envelope(7)])
    folder.close()
    assert lines_of(tmp_path) == [
        {
            "specversion": "1.0",
            "id": "evt_7",
            "type": "omnibus.message.received.v1",
            "source": "/omnibus/normalizer",
            "subject": "conv_1",
            "time": "2026-01-05T09:00:00.000Z",
            "datacontenttype": "application/json",
            "convseq": 7,
            "data": {"text": "hello"},
        }
    ]


def test_a_line_cut_short_by_a_crash_is_removed_and_written_again(tmp_path: Path) -> None:
    first = Folder(JsonlSettings(folder=tmp_path))
    first.append([envelope(1), envelope(2)])
    first.close()
    (file,) = tmp_path.glob("*.jsonl")
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])

    second = Folder(JsonlSettings(folder=tmp_path))
    second.append([envelope(1), envelope(2), envelope(3)])
    second.close()
    assert ids_of(tmp_path) == ["evt_1", "evt_2", "evt_3"]


@pytest.mark.parametrize("left", [0, 1, 25])
def test_a_file_without_a_single_whole_line_begins_anew(tmp_path: Path, left: int) -> None:
    path = tmp_path / "2026-01-05-000001.jsonl"
    path.write_bytes(envelope(1).cloudevent()[:left])
    folder = Folder(JsonlSettings(folder=tmp_path))
    folder.append([envelope(1)])
    folder.close()
    assert ids_of(tmp_path) == ["evt_1"]


def test_what_was_written_but_not_acknowledged_is_not_written_twice(tmp_path: Path) -> None:
    for _ in range(3):
        folder = Folder(JsonlSettings(folder=tmp_path))
        folder.append([envelope(number) for number in range(1, 501)])
        folder.close()
    assert ids_of(tmp_path) == [f"evt_{number}" for number in range(1, 501)]


def test_lines_longer_than_a_block_are_found_again(tmp_path: Path) -> None:
    for _ in range(2):
        folder = Folder(JsonlSettings(folder=tmp_path))
        folder.append([envelope(number, "x" * 200_000) for number in (1, 2)])
        folder.close()
    assert ids_of(tmp_path) == ["evt_1", "evt_2"]


def test_duplicates_are_found_across_files(tmp_path: Path) -> None:
    settings = JsonlSettings(folder=tmp_path, max_bytes=600)
    for _ in range(2):
        folder = Folder(settings)
        folder.append([envelope(number) for number in range(1, 11)])
        folder.close()
    assert ids_of(tmp_path) == [f"evt_{number}" for number in range(1, 11)]
    assert len(list(tmp_path.glob("*.jsonl"))) == 5


def test_no_file_grows_beyond_its_size(tmp_path: Path) -> None:
    folder = Folder(JsonlSettings(folder=tmp_path, max_bytes=600))
    for number in range(1, 20):
        folder.append([envelope(number)])
    folder.close()
    assert max(path.stat().st_size for path in tmp_path.glob("*.jsonl")) <= 600
    assert len(ids_of(tmp_path)) == 19


def test_a_new_day_begins_a_new_file(tmp_path: Path, today: ManualClock) -> None:
    folder = Folder(JsonlSettings(folder=tmp_path))
    folder.append([envelope(1)])
    today.advance(timedelta(days=1))
    folder.append([envelope(2)])
    folder.close()
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == [
        "2026-01-05-000001.jsonl",
        "2026-01-06-000001.jsonl",
    ]


def test_only_so_many_files_are_kept(tmp_path: Path) -> None:
    folder = Folder(JsonlSettings(folder=tmp_path, max_bytes=300, keep_files=2))
    for number in range(1, 9):
        folder.append([envelope(number)])
    folder.close()
    assert ids_of(tmp_path) == ["evt_7", "evt_8"]


def test_a_second_writer_waits_until_the_first_has_left(tmp_path: Path) -> None:
    first = Folder(JsonlSettings(folder=tmp_path))
    with pytest.raises(TryAgain, match="another process"):
        Folder(JsonlSettings(folder=tmp_path))
    first.close()
    Folder(JsonlSettings(folder=tmp_path)).close()


def test_a_line_somebody_edited_does_not_stop_the_sink(tmp_path: Path) -> None:
    (tmp_path / "2026-01-05-000001.jsonl").write_text('not an event\n{"id": 5}\n')
    folder = Folder(JsonlSettings(folder=tmp_path))
    folder.append([envelope(1)])
    folder.close()


async def test_events_reach_the_file_once_over_restarts(installation: Installation, tmp_path: Path) -> None:
    yaml = f"sinks: {{archive: {{type: jsonl, from: [events], folder: {tmp_path}/out}}}}"
    for batch in range(3):
        async with installation.sinks(yaml):
            numbers = range(batch * 50, batch * 50 + 50)
            await installation.publish(*(installation.received(number, f"conv_{number % 7}") for number in numbers))
            await installation.caught_up("sink.archive")
    assert len(ids_of(tmp_path / "out")) == 150
    assert len(set(ids_of(tmp_path / "out"))) == 150


async def test_events_of_a_conversation_stay_in_order(installation: Installation, tmp_path: Path) -> None:
    await installation.publish(*(installation.received(number, f"conv_{number % 3}") for number in range(300)))
    async with installation.sinks(f"sinks: {{archive: {{type: jsonl, from: [events], folder: {tmp_path}/out}}}}"):
        await installation.caught_up("sink.archive")
    for conversation in ("conv_0", "conv_1", "conv_2"):
        of_it = [line["id"] for line in lines_of(tmp_path / "out") if line["subject"] == conversation]
        assert of_it == [f"evt_{conversation}_{number}" for number in range(300) if number % 3 == int(conversation[-1])]


def sink(folder: Path) -> JsonlSink:
    tools: Any = SimpleNamespace(settings=JsonlSettings(folder=folder))
    return JsonlSink(tools)


async def test_calls_that_come_together_are_all_written_in_order(tmp_path: Path) -> None:
    destination = sink(tmp_path)
    await asyncio.gather(*(destination.deliver([envelope(n), envelope(n + 1)]) for n in range(0, 40, 2)))
    await destination.close()
    assert ids_of(tmp_path) == [f"evt_{n}" for n in range(40)]


async def test_an_event_that_cannot_be_written_fails_its_own_call_only(tmp_path: Path) -> None:
    class Broken(Envelope, frozen=True):
        def cloudevent(self) -> bytes:
            raise ValueError("no such event")

    broken = Broken(**msgspec.structs.asdict(envelope(7)))
    destination = sink(tmp_path)
    calls = [destination.deliver([envelope(n)]) for n in range(3)] + [destination.deliver([broken])]
    outcomes = await asyncio.gather(*calls, destination.deliver([envelope(3)]), return_exceptions=True)
    await destination.close()
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Receipt",
        "Receipt",
        "Receipt",
        "ValueError",
        "Receipt",
    ]
    assert ids_of(tmp_path) == ["evt_0", "evt_1", "evt_2", "evt_3"]
