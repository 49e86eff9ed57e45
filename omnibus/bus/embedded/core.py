"""What the parts of one open bus share, and how they are woken."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

import structlog

from omnibus.blobs import BlobStore
from omnibus.bus.embedded.catalog import Catalog
from omnibus.bus.embedded.commit import Changes
from omnibus.bus.embedded.leases import Claim
from omnibus.bus.embedded.limits import Limits
from omnibus.bus.embedded.reader import Reader
from omnibus.bus.embedded.schema import PARTITION_BITS
from omnibus.bus.embedded.txn import Txn
from omnibus.bus.embedded.writer import Writer

log = structlog.get_logger(__name__)
Fence = Callable[[Txn, Claim, Mapping[int, int]], None]
"""Called inside the transaction of every step with the claim and each partition's epoch; raises Fenced."""


class Waker:
    """Wakes runners when their topics got records, and when the leases of their group changed."""

    def __init__(self) -> None:
        self._by_topic: dict[int, set[asyncio.Event]] = {}
        self._by_group: dict[int, set[asyncio.Event]] = {}
        self._closed = False

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Wake everybody a last time: the file is about to be closed."""
        self._closed = True
        self.records_came(set(self._by_topic))
        self.leases_changed(set(self._by_group))

    def listen(self, topic_ids: list[int], records: asyncio.Event, group: int, leases: asyncio.Event) -> None:
        for topic_id in topic_ids:
            self._by_topic.setdefault(topic_id, set()).add(records)
        self._by_group.setdefault(group, set()).add(leases)

    def forget(self, *gone: asyncio.Event) -> None:
        for events in (*self._by_topic.values(), *self._by_group.values()):
            events.difference_update(gone)

    def listen_to(self, topic_id: int, records: asyncio.Event) -> None:
        """Until `forget`, which a follower calls too."""
        self._by_topic.setdefault(topic_id, set()).add(records)

    def committed(self, changes: Changes) -> None:
        """This process has committed that."""
        self.records_came(changes.topics)
        self.leases_changed(changes.groups)

    def records_came(self, topic_ids: Set[int]) -> None:
        for topic_id in topic_ids:
            for event in self._by_topic.get(topic_id, ()):
                event.set()

    def leases_changed(self, groups: Set[int]) -> None:
        for group in groups:
            for event in self._by_group.get(group, ()):
                event.set()


@dataclass(frozen=True, kw_only=True)
class Core:
    """The open file and its surroundings."""

    writer: Writer
    reader: Reader
    catalog: Catalog
    waker: Waker
    limits: Limits
    blobs: BlobStore | None
    dead_letters: str
    fence: Fence


@dataclass
class OtherProcesses:
    """Notices what other processes committed: one number is compared often, the ends only after it moved."""

    writer: Writer
    reader: Reader
    waker: Waker
    _version: int = -1
    _ends: dict[int, int] = field(default_factory=dict)
    _generations: dict[int, int] = field(default_factory=dict)

    async def watch(self, poll_s: float) -> None:
        while True:
            try:
                self.look()
            except sqlite3.Error as error:  # the disk, or the file's lock: the next look may succeed
                log.warning("bus_not_readable", reason=str(error))
            await asyncio.sleep(poll_s)

    def look(self) -> None:
        version = self.writer.foreign_version()
        if version is None or version == self._version:
            return
        self._version = version
        ends, generations = self.reader.all_ends(), self.reader.generations()
        self.waker.records_came({tp >> PARTITION_BITS for tp, end in ends.items() if self._ends.get(tp) != end})
        self.waker.leases_changed({group for group, at in generations.items() if self._generations.get(group) != at})
        self._ends, self._generations = ends, generations
