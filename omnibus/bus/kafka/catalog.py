"""The topics there are, and how records are made ready for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from omnibus import clock
from omnibus.bus.kafka.admin import Admin
from omnibus.bus.kafka.batches import Row
from omnibus.bus.kafka.wire import Tp
from omnibus.bus.partition import partition_of
from omnibus.bus.port import Out, TopicSpec
from omnibus.errors import InvalidPayload, PublishRejected, TopicMismatch


class Catalog:
    """The specs of the cluster's topics, read again when a name is not known yet (somebody else may have made it)."""

    def __init__(self, admin: Admin, dead_letters: str) -> None:
        self._admin = admin
        self._dead_letters = dead_letters
        self._by_name: dict[str, TopicSpec] = {}
        self._turn = itertools.count()

    async def refresh(self) -> None:
        self._by_name = {topic.spec.name: topic.spec for topic in await self._admin.topics()}

    async def know(self, names: Iterable[str]) -> None:
        """Read the topics again when one of these is not known."""
        if not self._by_name.keys() >= set(names):
            await self.refresh()

    def all(self) -> list[TopicSpec]:
        return list(self._by_name.values())

    def topic(self, name: str) -> TopicSpec:
        """Raises PublishRejected when there is no such topic."""
        try:
            return self._by_name[name]
        except KeyError:
            raise PublishRejected(f"there is no topic {name}; ensure_topics makes it") from None

    def co_partitioned(self, group: str, inputs: Sequence[str]) -> int:
        """The partition count all inputs of a group have; raises TopicMismatch when they differ."""
        topics = [self.topic(name) for name in inputs]
        if len({topic.partitions for topic in topics}) != 1:
            counts = ", ".join(f"{topic.name} has {topic.partitions}" for topic in topics)
            raise TopicMismatch(
                f"{group}: all inputs need the same number of partitions, but {counts or 'there are none'}"
            )
        return topics[0].partitions

    def check(self, out: Out) -> None:
        """Raise InvalidPayload for a record that its topic can never take: too large, or without a table's key."""
        spec = self._by_name.get(out.topic)
        if spec is None or out.topic == self._dead_letters:
            return  # an unknown topic is the operator's to make; dead letters are never refused
        if spec.kind == "table" and out.key is None:
            raise InvalidPayload(out.topic, "a table topic needs a key for every record")
        if out.partition is not None and not 0 <= out.partition < spec.partitions:
            raise InvalidPayload(out.topic, f"there is no partition {out.partition}; there are {spec.partitions}")
        size = len(out.key or b"") + len(out.value or b"")
        if size > spec.max_bytes:
            raise InvalidPayload(out.topic, f"the record has {size} bytes, at most {spec.max_bytes} are allowed")

    def prepare(self, outs: Sequence[Out]) -> list[tuple[Tp, Row]]:
        """Choose partitions; raises PublishRejected for an unknown topic, InvalidPayload as `check` does."""
        now_ms = clock.now_ms()
        rows: list[tuple[Tp, Row]] = []
        for out in outs:
            spec = self.topic(out.topic)
            self.check(out)
            ts_ms = now_ms if out.ts_ms is None else out.ts_ms
            rows.append(((out.topic, self._partition(out, spec.partitions)), (ts_ms, out.key, out.value, out.headers)))
        return rows

    def _partition(self, out: Out, partitions: int) -> int:
        if out.partition is not None:
            return out.partition
        if out.key is None:
            return next(self._turn) % partitions
        return partition_of(out.key, partitions)
