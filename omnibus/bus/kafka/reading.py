"""Reads that take part in no group: for people, tools and live views."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from aiokafka.protocol.commit import OffsetFetchRequest

from omnibus.bus.kafka.codes import check
from omnibus.bus.kafka.core import Core
from omnibus.bus.kafka.fetch import Fetcher, Source, fetch_once
from omnibus.bus.kafka.wire import COMMITTED, EARLIEST, LATEST, Tp
from omnibus.bus.port import Record
from omnibus.errors import OutOfRange

_CHUNK = 1024 * 1024
_BATCH = 500
_followers = itertools.count()


async def read(core: Core, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
    """Committed records from `offset` on (from the first there is, when that is later), at most `limit`."""
    tp = (topic, partition)
    end = (await core.wire.offsets([tp], LATEST))[tp]
    found: list[Record] = []
    while offset < end and len(found) < limit:
        before = offset
        try:
            batches = await fetch_once(core.wire, tp, offset, COMMITTED, _CHUNK)
        except OutOfRange:
            offset = (await core.wire.offsets([tp], EARLIEST))[tp]
            if offset <= before:
                break
            continue
        for records, offset in batches:  # noqa: B007  # where to read on from
            found.extend(records)
            if len(found) >= limit:
                break
        if offset == before:
            break
    return found[:limit]


async def bounds(core: Core, topic: str) -> dict[int, tuple[int, int]]:
    """For every partition: the first offset there is, and the end of what committed readers may see."""
    await core.catalog.know([topic])
    tps = [(topic, partition) for partition in range(core.catalog.topic(topic).partitions)]
    firsts, ends = await asyncio.gather(core.wire.offsets(tps, EARLIEST), core.wire.offsets(tps, LATEST))
    return {tp[1]: (firsts[tp], ends[tp]) for tp in tps}


async def lag(core: Core, name: str) -> Mapping[Tp, int]:
    """Records a stage or sink has not dealt with, by the group's offsets; what it never committed counts whole."""
    group = core.group(name)

    async def ask() -> Any:
        node = await core.wire.group_coordinator(group)
        found = await core.wire.call(node, OffsetFetchRequest(group, None), "offsets")
        check(f"the offsets of {group}", found.error_code)
        return found

    answer = await core.wire.patiently(ask)
    committed = {
        (topic, partition): offset
        for topic, partitions in answer.topics
        for partition, offset, _, _ in partitions
        if core.wire.partitions(topic)
    }
    tps = [(topic, part) for topic in {topic for topic, _ in committed} for part in range(core.wire.partitions(topic))]
    if not tps:
        return {}
    firsts, ends = await asyncio.gather(core.wire.offsets(tps, EARLIEST), core.wire.offsets(tps, LATEST))
    return {tp: max(0, ends[tp] - committed.get(tp, firsts[tp])) for tp in tps}


async def _ends_at(core: Core, topic: str, at_ms: int) -> dict[int, int]:
    """Where a topic ended at that time, by the times of its records; where it ends now, when nothing came since."""
    await core.catalog.know([topic])
    tps = [(topic, partition) for partition in range(core.catalog.topic(topic).partitions)]
    ends, since = await asyncio.gather(core.wire.offsets(tps, LATEST), core.wire.offsets(tps, at_ms))
    return {tp[1]: since[tp] if 0 <= since[tp] < ends[tp] else ends[tp] for tp in tps}


async def follow(core: Core, topic: str, given: Mapping[int, int], since_ms: int) -> AsyncIterator[Sequence[Record]]:
    """Batches of records of one partition each, from the offsets given or that time on, until nobody asks any more."""
    offsets = await _ends_at(core, topic, since_ms) | dict(given)
    came = asyncio.Event()
    fetcher = Fetcher(core.wire, f"follow {next(_followers)}", core.limits)
    sources = [
        Source((topic, partition), offset, core.limits.partition_bytes, came.set)
        for partition, offset in offsets.items()
    ]
    for source in sources:
        fetcher.add(source)
    fetching = asyncio.create_task(fetcher.run(), name=f"follow {topic}")
    try:
        while True:
            came.clear()
            for source in sources:
                if source.error is not None and not source.ahead:
                    raise source.error
                while source.ahead:
                    yield [source.take() for _ in range(min(_BATCH, len(source.ahead)))]
            fetcher.more()
            await came.wait()
    finally:
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
