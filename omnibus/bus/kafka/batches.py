"""Record batches (message format 2): how records are packed for a broker and unpacked from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal

from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from omnibus.bus.kafka.wire import Tp
from omnibus.bus.port import Headers, Record
from omnibus.errors import OmnibusError

Row = tuple[int, bytes | None, bytes | None, Headers]
"""ts_ms, key, value, headers."""

Compression = Literal["zstd", "lz4", "snappy", "gzip", "none"]
"""What batches are compressed with. Readers need a client that knows it; zstd is known since Kafka 2.1."""

_CODECS: dict[Compression, int] = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_WORTH_COMPRESSING = 2_048
"""Below, the call costs more than the bytes."""
_ROW_BYTES = 32
_NO_LIMIT = 2**31 - 1


class CorruptBatch(OmnibusError):
    """What a broker sent is damaged or of a format before 2: the task fails and reads it again."""


class Batch:
    """Records of one partition that travel together."""

    __slots__ = ("rows", "size", "tp")

    def __init__(self, tp: Tp) -> None:
        self.tp = tp
        self.rows: list[Row] = []
        self.size = 0

    def encoded(
        self, producer_id: int, epoch: int, sequence: int, transactional: bool, compression: Compression
    ) -> bytes:
        """The bytes of the batch under a producer's identity; a small one is not compressed."""
        codec = _CODECS[compression] if self.size >= _WORTH_COMPRESSING else _CODECS["none"]
        builder = DefaultRecordBatchBuilder(2, codec, int(transactional), producer_id, epoch, sequence, _NO_LIMIT)
        append = builder.append
        for index, (ts_ms, key, value, headers) in enumerate(self.rows):
            append(index, ts_ms, key, value, list(headers))
        return bytes(builder.build())


def row_size(row: Row) -> int:
    _, key, value, headers = row
    size = _ROW_BYTES + len(key or b"") + len(value or b"")
    return size + 4 * len(headers) + sum(map(len, chain.from_iterable(headers))) if headers else size


def pack(rows: Iterable[tuple[Tp, Row]], most: int) -> list[Batch]:
    """Batches of at most about `most` bytes, in the order given within each partition."""
    batches: list[Batch] = []
    filling: dict[Tp, Batch] = {}
    for tp, row in rows:
        size = row_size(row)
        batch = filling.get(tp)
        if batch is None or batch.size + size > most:
            batch = filling[tp] = Batch(tp)
            batches.append(batch)
        batch.rows.append(row)
        batch.size += size
    return batches


def rounds(batches: Sequence[Batch]) -> list[list[Batch]]:
    """The batches in groups that hold each partition once: a request takes one batch for a partition."""
    found: list[list[Batch]] = []
    seen: dict[Tp, int] = {}
    for batch in batches:
        turn = seen.get(batch.tp, 0)
        seen[batch.tp] = turn + 1
        if turn == len(found):
            found.append([])
        found[turn].append(batch)
    return found


def unpack(
    tp: Tp, data: bytes, at: int, aborted: Iterable[tuple[int, int]] | None
) -> Iterator[tuple[list[Record], int]]:
    """Batch by batch, the records from offset `at` on and the offset to read on from.

    One at a time, because what is small on the wire may be large in memory. `aborted` are (producer, first offset) of
    transactions in there that were aborted; their records are left out. None keeps everything that is not a marker.
    Raises CorruptBatch.
    """
    topic, partition = tp
    pending = sorted(aborted or (), key=lambda item: item[1])
    gone: set[int] = set()
    batches = MemoryRecords(data)
    while batches.has_next():
        batch = batches.next_batch()
        if batch.magic < 2 or not batch.validate_crc():
            raise CorruptBatch(f"{topic}[{partition}] at {batch.base_offset}: damaged, or written before Kafka 0.11")
        while pending and pending[0][1] <= batch.base_offset:
            gone.add(pending.pop(0)[0])
        found: list[Record] = []
        if batch.is_control_batch:
            if ControlRecord.parse(next(batch).key) == ABORT_MARKER:
                gone.discard(batch.producer_id)
        elif not (batch.is_transactional and batch.producer_id in gone):
            found = [
                Record(topic, partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
                for r in batch
                if r.offset >= at
            ]
        at = max(at, batch.next_offset)
        yield found, at
