"""A process that runs one jsonl sink until it is killed: ``crashing_worker.py FOLDER``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from omnibus.blobs import open_blobs
from omnibus.bus.open import open_bus
from omnibus.bus.topics import Topics
from omnibus.config.load import loads
from omnibus.http import Http
from omnibus.runtime import Runtime
from sinks._engine.registry import discover
from sinks._engine.service import SinksService


async def run(folder: Path) -> None:
    topics, blobs = Topics(), open_blobs(f"file:{folder}/blobs")
    bus = open_bus(f"embedded:{folder}/bus", topics, blobs)
    await bus.open()
    config = loads(
        f"sinks: {{archive: {{type: jsonl, from: [events], folder: {folder}/out, max_bytes: 20KB}}}}",
        settings_of=lambda _section, kind: discover().get(kind).settings,
    )
    async with Http() as http:
        runtime = Runtime(config=config, topics=topics, bus=bus, blobs=blobs, http=http, accounts={})
        await SinksService(runtime).start()
        await asyncio.Event().wait()


asyncio.run(run(Path(sys.argv[1])))
