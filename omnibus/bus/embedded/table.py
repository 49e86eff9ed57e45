"""A global table: the latest value of every key of a table topic, read from the file itself."""

from __future__ import annotations

from collections.abc import Sequence

from omnibus.bus.embedded.catalog import Topic
from omnibus.bus.embedded.reader import Reader
from omnibus.errors import TopicMismatch
from omnibus.stage.step import prefix_end


class LatestTable:
    """A `ReadTable` that is never behind: every read sees the last commit of any process."""

    def __init__(self, reader: Reader, topic: Topic) -> None:
        if topic.spec.kind != "table":
            raise TopicMismatch(f"{topic.spec.name} is a stream; a global table is read from a table topic")
        self._reader = reader
        self._topic_id = topic.id

    def get(self, key: bytes) -> bytes | None:
        return self._reader.table_get(self._topic_id, key)

    def scan(self, prefix: bytes = b"", limit: int = 1_000) -> Sequence[tuple[bytes, bytes]]:
        end = prefix_end(prefix) if prefix.rstrip(b"\xff") else None
        return self._reader.table_scan(self._topic_id, prefix, end, limit)
