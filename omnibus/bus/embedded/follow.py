"""Records as they come, for live views: no group, no position kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from omnibus.bus.embedded.catalog import Topic
from omnibus.bus.embedded.core import Core
from omnibus.bus.embedded.schema import tp_of
from omnibus.bus.port import Record

_BATCH = 500


async def follow(core: Core, topic: Topic, offsets: dict[int, int]) -> AsyncIterator[Sequence[Record]]:
    """Batches of records of one partition each, from `offsets` on, until nobody asks or the bus is closed."""
    came = asyncio.Event()
    core.waker.listen_to(topic.id, came)
    try:
        while not core.waker.is_closed():
            came.clear()
            found = False
            for partition, (_, after) in core.reader.tails(topic.id).items():
                if offsets[partition] < after:
                    records = _read(core, topic, partition, offsets[partition])
                    offsets[partition] = records[-1].offset + 1 if records else after
                    if records:
                        found = True
                        yield records
                        if core.waker.is_closed():
                            return
            if not found:
                await came.wait()
    finally:
        core.waker.forget(came)


def _read(core: Core, topic: Topic, partition: int, offset: int) -> list[Record]:
    tp = tp_of(topic.id, partition)
    return core.reader.records(topic.spec.name, tp, offset, _BATCH, core.limits.fetch_bytes)
