"""Unified events as bus records: CloudEvents 1.0, Kafka binary mode.

Attributes travel as record headers named ``ce_*`` (CloudEvents Kafka protocol binding 1.0.2, section 3.2), the data
as the JSON value. See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache
from typing import Any, TypeVar, get_args

import msgspec

from omnibus import clock
from omnibus.bus.port import Headers, Out, Record
from omnibus.errors import InvalidPayload
from omnibus.model.base import Model
from omnibus.model.content import Content, Unsupported
from omnibus.model.events import COMMANDS, DATA, INTERNAL

M = TypeVar("M", bound=Model)

JSON_TYPE = b"application/json"
_SPEC_VERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", JSON_TYPE)
_ENCODER = msgspec.json.Encoder()
_TYPES: dict[str, type[Model]] = {**DATA, **COMMANDS, **INTERNAL}
_OF_TYPE = {
    name: (("ce_type", name.encode()), ("ce_dataschema", f"urn:omnibus:schema:{name}".encode())) for name in _TYPES
}


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A unified event (or command): CloudEvents attributes and typed data.

    `subject` is the conversation id (also the key), `time` when it happened, `recordedtime` when we stored it (both
    milliseconds since the epoch here, RFC 3339 on the wire). `convseq` orders the events of one `source` within a
    conversation.
    """

    id: str
    type: str
    source: str
    subject: str
    time: int
    data: Any
    recordedtime: int | None = None
    convseq: int | None = None
    origin: str = "live"
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    id_quality: str | None = None


@lru_cache(maxsize=4_096)
def _to_the_second(seconds: int) -> str:
    return f"{clock.from_ms(seconds * 1000):%Y-%m-%dT%H:%M:%S}"


def rfc3339(ms: int) -> bytes:
    """Milliseconds since the epoch as header values say them: UTC, to the millisecond."""
    return f"{_to_the_second(ms // 1000)}.{ms % 1000:03d}Z".encode()


def headers_of(event: Event) -> Headers:
    """The record headers of an event."""
    subject = event.subject.encode()
    kind, schema = _OF_TYPE[event.type]
    headers = [
        _SPEC_VERSION,
        ("ce_id", event.id.encode()),
        ("ce_source", event.source.encode()),
        kind,
        ("ce_subject", subject),
        ("ce_time", rfc3339(event.time)),
        schema,
        ("ce_partitionkey", subject),
        _CONTENT_TYPE,
        ("ce_origin", event.origin.encode()),
    ]
    if event.recordedtime is not None:
        headers.append(("ce_recordedtime", rfc3339(event.recordedtime)))
    if event.convseq is not None:
        headers.append(("ce_convseq", str(event.convseq).encode()))
    if event.id_quality is not None:
        headers.append(("ce_idquality", event.id_quality.encode()))
    if event.correlationid is not None:
        headers.append(("ce_correlationid", event.correlationid.encode()))
    if event.causationid is not None:
        headers.append(("ce_causationid", event.causationid.encode()))
    if event.traceparent is not None:
        headers.append(("traceparent", event.traceparent.encode()))
    return tuple(headers)


def encode(event: Event, topic: str) -> Out:
    """The record of an event on `topic`, keyed by conversation."""
    return Out(
        topic=topic,
        key=event.subject.encode(),
        value=_ENCODER.encode(event.data),
        headers=headers_of(event),
        ts_ms=event.recordedtime if event.recordedtime is not None else event.time,
    )


def encode_data(data: Model) -> bytes:
    """The JSON of an event's data or of an entity."""
    return _ENCODER.encode(data)


@cache
def _decoder(data_type: type[Model]) -> msgspec.json.Decoder[Model]:
    return msgspec.json.Decoder(data_type)


def decode_as(data_type: type[M], value: bytes | None) -> M:
    """Typed data of JSON. A content kind that this release does not know becomes `unsupported`.

    Raises InvalidPayload with the path that failed.
    """
    return _decode(data_type, value or b"null")


def type_of(record: Record) -> str | None:
    """The event type of a record, without decoding it; None when it is no unified event."""
    kind = record.header("ce_type")
    return None if kind is None else kind.decode()


def is_known(kind: str | None) -> bool:
    """Whether this release knows that type; consumers skip the others."""
    return kind in _TYPES


def decode(record: Record) -> Event:
    """The event of a record. Raises InvalidPayload when it is none, or of an unknown type."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    kind = headers.get("ce_type", "")
    data_type = _TYPES.get(kind)
    if data_type is None:
        raise InvalidPayload("ce_type", f"expected a type of this release, got {kind!r}")
    for required in ("ce_id", "ce_source", "ce_subject", "ce_time"):
        if required not in headers:
            raise InvalidPayload(required, "missing header")
    recorded = headers.get("ce_recordedtime")
    convseq = headers.get("ce_convseq")
    return Event(
        id=headers["ce_id"],
        type=kind,
        source=headers["ce_source"],
        subject=headers["ce_subject"],
        time=_ms(headers["ce_time"], "ce_time"),
        data=_decode(data_type, record.value or b"null"),
        recordedtime=None if recorded is None else _ms(recorded, "ce_recordedtime"),
        convseq=int(convseq) if convseq is not None and convseq.isdigit() else None,
        origin=headers.get("ce_origin", "live"),
        correlationid=headers.get("ce_correlationid"),
        causationid=headers.get("ce_causationid"),
        traceparent=headers.get("traceparent"),
        id_quality=headers.get("ce_idquality"),
    )


def _ms(text: str, name: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidPayload(name, f"expected RFC 3339, got {text[:40]!r}") from error
    if at.tzinfo is None:
        raise InvalidPayload(name, "expected a time zone")
    return clock.to_ms(at)


def _decode(data_type: type[M], value: bytes) -> M:
    try:
        return _decoder(data_type).decode(value)  # type: ignore[return-value]  # the cache forgets which M it is
    except msgspec.ValidationError as error:
        if "Invalid value" in str(error) and "type" in str(error):
            return _decode_leniently(data_type, value, error)
        raise _invalid(error) from error
    except msgspec.DecodeError as error:
        raise InvalidPayload("$", str(error)) from error


def _decode_leniently(data_type: type[M], value: bytes, cause: msgspec.ValidationError) -> M:
    """Again, with every content of an unknown kind replaced by `unsupported` (the content union is open)."""
    raw = msgspec.json.decode(value)
    try:
        return msgspec.convert(_with_known_contents(raw), data_type)
    except msgspec.ValidationError:
        raise _invalid(cause) from cause


def _with_known_contents(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_known_contents(item) for item in value]
    if not isinstance(value, dict):
        return value
    replaced = {key: _with_known_contents(item) for key, item in value.items()}
    content = replaced.get("content")
    if isinstance(content, dict) and content.get("type") not in CONTENT_TYPES:
        unknown = Unsupported(native_type=str(content.get("type")), summary="content kind of a newer release")
        replaced["content"] = msgspec.to_builtins(unknown)
    return replaced


def _invalid(error: msgspec.ValidationError) -> InvalidPayload:
    why, _, path = str(error).rpartition(" - at `")
    return InvalidPayload(path.rstrip("`") or "$", why or str(error))


def _content_types() -> frozenset[str]:
    return frozenset(str(kind.__struct_config__.tag) for kind in get_args(Content))


CONTENT_TYPES = _content_types()
