"""A process killed at any moment costs no event, doubles none and leaves no half line."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omnibus.errors import TryAgain
from sinks.jsonl.files import JsonlSink
from sinks.jsonl.sink import JsonlSettings

if TYPE_CHECKING:
    from tests.sinks.conftest import Installation

WORKER = Path(__file__).with_name("crashing_worker.py")
EVENTS = 3_000


def written(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.jsonl"))


async def run_and_kill(installation: Installation, grows_by: int) -> None:
    """Start the worker, and kill it with SIGKILL when the files have grown by so many bytes."""
    out = installation.folder / "out"
    enough = written(out) + grows_by
    worker = await asyncio.create_subprocess_exec(sys.executable, str(WORKER), str(installation.folder))

    async def grown() -> bool:
        return written(out) >= enough

    try:
        await installation.until(grown, bool)
    finally:
        worker.kill()
        await worker.wait()


async def test_killing_the_process_loses_and_doubles_nothing(installation: Installation, tmp_path: Path) -> None:
    seeded = random.Random(20260105)
    for start in range(0, EVENTS, 500):
        batch = (installation.received(number, f"conv_{number % 5}") for number in range(start, start + 500))
        await installation.publish(*batch)
        await run_and_kill(installation, grows_by=seeded.randrange(1, 200_000))

    async with installation.sinks(f"sinks: {{archive: {{type: jsonl, from: [events], folder: {tmp_path}/out}}}}"):
        await installation.caught_up("sink.archive")
    text = "".join(path.read_text("utf-8") for path in sorted((tmp_path / "out").glob("*.jsonl")))
    lines = [json.loads(line) for line in text.splitlines()]
    for conversation in range(5):
        ids = [line["id"] for line in lines if line["subject"] == f"conv_{conversation}"]
        assert ids == [f"evt_conv_{conversation}_{number}" for number in range(conversation, EVENTS, 5)]
    assert len(lines) == EVENTS


async def test_a_full_disk_leaves_whole_lines_and_the_sink_waits(installation: Installation, tmp_path: Path) -> None:
    """The limit on file size of this process stands in for the full disk: a write is cut short, then refused."""
    sink = JsonlSink(installation.tools(JsonlSettings(folder=tmp_path / "out")))
    events = [installation.envelope(installation.received(number)) for number in range(20)]
    await sink.deliver(events[:1])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written(tmp_path / "out") + 700, limits[1]))
    try:
        with pytest.raises(TryAgain, match="cannot write"):
            await sink.deliver(events)
        (file,) = (tmp_path / "out").glob("*.jsonl")
        assert file.read_bytes().count(b"\n") == 1
        assert file.read_bytes().endswith(b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    await sink.deliver(events)
    await sink.close()
    ids = [json.loads(line)["id"] for line in file.read_text("utf-8").splitlines()]
    assert ids == [f"evt_conv_1_{number}" for number in range(20)]
