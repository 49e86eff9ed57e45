"""FastStream over aiokafka, in batches (https://faststream.ag2.ai/latest/kafka/Subscriber/batch_subscriber/)."""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib.metadata import version
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

from bench.peers.job import Meter, mapped

SAID = (
    "subscriber(batch=True, max_records=500, ack_policy=NACK_ON_ERROR: committed after the handler) and "
    "publisher(batch=True); zstd, acks=all; its own JSON; at least once"
)


async def run(brokers: str, source: str, target: str, count: int) -> None:
    meter, over = Meter(count), asyncio.Event()
    broker = KafkaBroker(brokers, compression_type="zstd", acks="all", log_level=logging.CRITICAL)
    publisher = broker.publisher(target, batch=True)

    @publisher  # type: ignore[untyped-decorator]  # typed only in its own environment
    @broker.subscriber(  # type: ignore[untyped-decorator]  # as above
        source,
        batch=True,
        max_records=500,
        group_id="peer-faststream-batch",
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
    )
    async def handle(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if meter.add(len(messages)):
            over.set()
        return [mapped(message) for message in messages]

    await _until(FastStream(broker), over)
    meter.tell(f"faststream {version('faststream')}", SAID)


async def _until(app: FastStream, over: asyncio.Event) -> None:
    await app.start()
    try:
        await over.wait()
    finally:
        await app.stop()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
