"""Faust: an agent with a sink (https://faust-streaming.github.io/faust/userguide/agents.html#sinks)."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import faust

from bench.peers.job import Meter, mapped

SAID = (
    "@app.agent(sink=[topic]) that yields, value_serializer=json, producer_acks=-1, producer_linger=0.005, "
    "stream_wait_empty=False; at least once, as it comes"
)


async def run(brokers: str, source: str, target: str, count: int, partitions: int) -> None:
    meter, over = Meter(count), asyncio.Event()
    app = faust.App(
        "peer-faust",
        broker=";".join(f"kafka://{broker}" for broker in brokers.split(",")),
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="peer-faust-"),
        topic_partitions=partitions,
        topic_replication_factor=1,
        topic_disable_leader=True,
        value_serializer="json",
        producer_acks=-1,
        producer_linger=0.005,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        web_enabled=False,
    )

    @app.agent(app.topic(source), sink=[app.topic(target)])  # type: ignore[untyped-decorator]  # its own types
    async def handle(stream: Any) -> AsyncIterator[dict[str, Any]]:
        async for message in stream:
            if meter.add():
                over.set()
            yield mapped(message)

    async def tell() -> None:
        await over.wait()
        meter.tell(f"faust-streaming {version('faust-streaming')}", SAID)
        os._exit(0)  # a worker has no way to say that it is done

    telling = asyncio.create_task(tell())
    await faust.Worker(app, loglevel="ERROR", redirect_stdouts=False, loop=asyncio.get_running_loop()).start()
    await telling


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
