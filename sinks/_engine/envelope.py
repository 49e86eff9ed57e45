"""An event as a sink sees it: CloudEvents attributes and the JSON data, untouched unless somebody asks for it."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibus import clock
from omnibus.bus.port import Record
from omnibus.errors import InvalidPayload
from omnibus.model import codec, ids

SNAPSHOT = "omnibus.conversation.snapshot.v1"
"""Type given to records of the conversations table, which hold the conversation itself and not an event."""

_EXTENSIONS = ("dataschema", "partitionkey", "recordedtime", "origin", "idquality", "correlationid", "causationid")
_DEAD = frozenset({"dead_stage", "dead_error", "dead_reason", "dead_attempts"})
_JSON = "application/json"
_raw = msgspec.json.Decoder(msgspec.Raw)
_encoder = msgspec.json.Encoder()


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `id` never changes, however often the event comes: it is the idempotency key.

    `time` is RFC 3339 as on the wire, `data` is JSON (in one line) when `is_json`. `topic` says which of the sink's
    inputs it came from.
    """

    id: str
    type: str
    source: str
    subject: str
    time: str
    data: bytes
    topic: str
    record: Record

    @property
    def is_json(self) -> bool:
        """False for raw events among the dead letters, which are MessagePack."""
        return _is_json(self.record)

    @property
    def name(self) -> str:
        """The short name of the kind: ``message.received``."""
        return ".".join(self.type.split(".")[1:3])

    def event(self) -> codec.Event:
        """The typed event. Raises InvalidPayload when this release does not know it."""
        return codec.decode(self.record)

    def cloudevent(self) -> bytes:
        """CloudEvents 1.0 structured mode (JSON format), in one line."""
        members: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": self.source,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": _content_type(self.record),
        }
        for name in _EXTENSIONS:
            if (value := self.record.header(f"ce_{name}")) is not None:
                members[name] = value.decode("utf-8", "replace")
        if (convseq := self.record.header("ce_convseq")) is not None and convseq.isdigit():
            members["convseq"] = int(convseq)
        if (trace := self.record.header("traceparent")) is not None:
            members["traceparent"] = trace.decode("ascii", "replace")
        for name, value in self.record.headers:
            if name in _DEAD:
                members[name.replace("_", "")] = value.decode("utf-8", "replace")
        members.update({"data": msgspec.Raw(self.data)} if self.is_json else {"data_base64": self.data})
        return _encoder.encode(members)


def envelope_of(record: Record) -> Envelope | None:
    """The event in a record (its body loaded); None for a tombstone. Raises InvalidPayload for anything else."""
    if record.value is None:
        return None
    data = _one_line_of_json(record.value) if _is_json(record) else record.value
    kind = codec.type_of(record)
    if kind is None:
        return _snapshot(record, data)
    return Envelope(
        id=_text(record, "ce_id"),
        type=kind,
        source=_text(record, "ce_source"),
        subject=_text(record, "ce_subject"),
        time=_text(record, "ce_time"),
        data=data,
        topic=record.topic,
        record=record,
    )


def _snapshot(record: Record, data: bytes) -> Envelope:
    """An entry of a table: named by its content, so that the same state has the same id."""
    subject = (record.key or b"").decode("utf-8", "replace")
    return Envelope(
        id=ids.derive("snp", record.topic, subject, data.decode("utf-8", "replace")),
        type=SNAPSHOT,
        source=f"/{record.topic}",
        subject=subject,
        time=clock.from_ms(record.ts_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        data=data,
        topic=record.topic,
        record=record,
    )


def _content_type(record: Record) -> str:
    value = record.header("content-type")
    return _JSON if value is None else value.decode("ascii", "replace")


def _is_json(record: Record) -> bool:
    return _content_type(record) == _JSON


def _one_line_of_json(value: bytes) -> bytes:
    try:
        _raw.decode(value)
        return value if b"\n" not in value else msgspec.json.format(value, indent=-1)
    except msgspec.DecodeError as error:
        raise InvalidPayload("data", str(error)) from error


def _text(record: Record, name: str) -> str:
    value = record.header(name)
    if not value:
        raise InvalidPayload(name, "missing header")
    return value.decode("utf-8", "replace")
