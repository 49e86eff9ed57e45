"""The topics there are, and how records are made ready for them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec

from omnibus import clock
from omnibus.bus.embedded.reader import Reader
from omnibus.bus.embedded.schema import MAX_PARTITIONS, MAX_TOPICS, tp_of
from omnibus.bus.embedded.txn import Batch, Row, Txn
from omnibus.bus.partition import partition_of
from omnibus.bus.port import Out, TopicSpec
from omnibus.errors import InvalidPayload, PublishRejected, TopicMismatch

_encode_headers = msgspec.msgpack.Encoder().encode


class Topic(msgspec.Struct, frozen=True):
    """A topic and its number in the file."""

    id: int
    spec: TopicSpec


class Catalog:
    """The topics of the file, read again when a name is not known yet (another process may have made it)."""

    def __init__(self, reader: Reader, dead_letters: str) -> None:
        self._reader = reader
        self._dead_letters = dead_letters
        self._by_name: dict[str, Topic] = {}
        self._turn = itertools.count()

    def refresh(self) -> None:
        self._by_name = {spec.name: Topic(key, spec) for key, spec in self._reader.topics().items()}

    def all(self) -> list[Topic]:
        self.refresh()
        return list(self._by_name.values())

    def topic(self, name: str) -> Topic:
        """Raises PublishRejected when there is no such topic."""
        if name not in self._by_name:
            self.refresh()
        try:
            return self._by_name[name]
        except KeyError:
            raise PublishRejected(f"there is no topic {name}; ensure_topics makes it") from None

    def co_partitioned(self, group: str, inputs: Sequence[str]) -> list[Topic]:
        """The inputs of a group; raises TopicMismatch when their partition counts differ."""
        topics = [self.topic(name) for name in inputs]
        if len({topic.spec.partitions for topic in topics}) != 1:
            counts = ", ".join(f"{topic.spec.name} has {topic.spec.partitions}" for topic in topics)
            raise TopicMismatch(
                f"{group}: all inputs need the same number of partitions, but {counts or 'there are none'}"
            )
        return topics

    def check(self, out: Out) -> None:
        """Raise InvalidPayload for a record that its topic can never take: too large, or without a table's key."""
        topic = self._by_name.get(out.topic)
        if topic is None or out.topic == self._dead_letters:
            return  # an unknown topic is the operator's to make; dead letters are never refused
        spec = topic.spec
        if spec.kind == "table" and out.key is None:
            raise InvalidPayload(out.topic, "a table topic needs a key for every record")
        if out.partition is not None and not 0 <= out.partition < spec.partitions:
            raise InvalidPayload(out.topic, f"there is no partition {out.partition}; there are {spec.partitions}")
        size = len(out.key or b"") + len(out.value or b"")
        if size > spec.max_bytes:
            raise InvalidPayload(out.topic, f"the record has {size} bytes, at most {spec.max_bytes} are allowed")

    def prepare(self, outs: Sequence[Out], *, checked: bool = False) -> Batch:
        """Choose partitions and encode; raises PublishRejected for an unknown topic, InvalidPayload as `check` does."""
        now_ms = clock.now_ms()
        rows: dict[int, list[Row]] = {}
        tables: set[int] = set()
        places: list[tuple[int, int]] = []
        size = 0
        for out in outs:
            topic = self._by_name.get(out.topic) or self.topic(out.topic)
            if not checked:
                self.check(out)
            tp = tp_of(topic.id, self._partition(out, topic.spec.partitions))
            headers = _encode_headers(out.headers) if out.headers else None
            into = rows.setdefault(tp, [])
            places.append((tp, len(into)))
            into.append((now_ms if out.ts_ms is None else out.ts_ms, out.key, out.value, headers))
            size += 64 + len(out.key or b"") + len(out.value or b"") + len(headers or b"")
            if topic.spec.kind == "table":
                tables.add(tp)
        return Batch(rows, tables, places, size)

    def _partition(self, out: Out, partitions: int) -> int:
        if out.partition is not None:
            return out.partition
        if out.key is None:
            return next(self._turn) % partitions
        return partition_of(out.key, partitions)


def create_missing(txn: Txn, specs: Sequence[TopicSpec]) -> None:
    """Make the topics that are not there; raises TopicMismatch when one is there with other partitions or kind."""
    for spec in specs:
        if not 1 <= spec.partitions <= MAX_PARTITIONS:
            raise TopicMismatch(f"{spec.name}: {spec.partitions} partitions; 1 to {MAX_PARTITIONS} are possible")
        found = txn.connection.execute("SELECT id, partitions, kind FROM topic WHERE name=?", (spec.name,)).fetchone()
        if found is None:
            _create(txn, spec)
            continue
        if tuple(found[1:]) != (spec.partitions, spec.kind):
            raise TopicMismatch(
                f"{spec.name} exists as a {found[2]} with {found[1]} partitions, "
                f"but the configuration asks for a {spec.kind} with {spec.partitions}; "
                "partitions cannot change once there are records"
            )
        txn.connection.execute(
            "UPDATE topic SET retention_ms=?, max_bytes=? WHERE id=?", (spec.retention_ms, spec.max_bytes, found[0])
        )


def _create(txn: Txn, spec: TopicSpec) -> None:
    (last,) = txn.connection.execute("SELECT coalesce(max(id), 0) FROM topic").fetchone()
    topic_id = last + 1
    if topic_id >= MAX_TOPICS:
        raise TopicMismatch(f"{spec.name}: the embedded bus holds at most {MAX_TOPICS - 1} topics")
    txn.connection.execute(
        "INSERT INTO topic VALUES(?,?,?,?,?,?)",
        (topic_id, spec.name, spec.partitions, spec.kind, spec.retention_ms, spec.max_bytes),
    )
    txn.connection.executemany(
        "INSERT INTO tail VALUES(?,0,0)", [(tp_of(topic_id, part),) for part in range(spec.partitions)]
    )
