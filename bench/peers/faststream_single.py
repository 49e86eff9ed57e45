"""FastStream over aiokafka, as its first page shows it: one message, one call (https://faststream.ag2.ai/latest/)."""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib.metadata import version
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

from bench.peers.job import Meter, mapped

SAID = "@subscriber and @publisher of one message (the first page of its guide), committed after the handler; acks=all"


async def run(brokers: str, source: str, target: str, count: int) -> None:
    meter, over = Meter(count), asyncio.Event()
    broker = KafkaBroker(brokers, acks="all", log_level=logging.CRITICAL)

    @broker.publisher(target)  # type: ignore[untyped-decorator]  # typed only in its own environment
    @broker.subscriber(  # type: ignore[untyped-decorator]  # as above
        source, group_id="peer-faststream", auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR
    )
    async def handle(message: dict[str, Any]) -> dict[str, Any]:
        if meter.add():
            over.set()
        return mapped(message)

    app = FastStream(broker)
    await app.start()
    try:
        await over.wait()
    finally:
        await app.stop()
    meter.tell(f"faststream {version('faststream')}", SAID)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
