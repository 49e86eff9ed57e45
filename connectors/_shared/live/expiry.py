"""What is older than an account keeps is taken out of its history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from connectors._shared.live.history import entry_of, time_of
from omnibus.bus.port import Bus, Out, ReadTable

SWEEP_EVERY = timedelta(hours=1)
MAX_REMOVED = 500
"""Entries that are removed in one transaction."""


async def removals(bus: Bus, topic: str, table: ReadTable, account: str, before_ms: int) -> AsyncIterator[list[Out]]:
    """Records that take the account's entries of before that time out of its history, some hundred at a time.

    Entries enter the log as they are said, so it is read from its beginning to that time and no further. What another
    process has removed already, and what is to be compacted away, is passed by.
    """
    found: list[Out] = []
    for partition, (first, after) in (await bus.bounds(topic)).items():
        offset = first
        while offset < after and (batch := await bus.read(topic, partition, offset)):
            for record in batch:
                read = entry_of(record, account)
                if read is None or record.key is None or time_of(read[1].key) >= before_ms:
                    continue
                if table.get(record.key) is not None:
                    found.append(Out(topic=topic, key=record.key, value=None))
                if len(found) >= MAX_REMOVED:
                    yield found
                    found = []
            offset = batch[-1].offset + 1
            if batch[-1].ts_ms >= before_ms:
                break
    if found:
        yield found
