"""Events survive the bus, and consumers of today survive events of tomorrow."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest

from omnibus.bus.port import Out, Record
from omnibus.errors import InvalidPayload
from omnibus.model import codec, events, schema
from omnibus.model.content import Text, Unsupported
from omnibus.model.entities import Author, Message

AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, UTC)
GOLDEN = Path(__file__).parent / "golden"


def message(text: str = "hello") -> Message:
    return Message(
        id="msg_1",
        conversation_id="conv_1",
        channel="webchat",
        channel_account_id="site",
        direction="inbound",
        author=Author(type="contact", id="cnt_1", display_name="Ana Exemplo"),
        content=Text(text=text),
        status="received",
        created_at=AT,
        received_at=AT,
    )


def event(text: str = "hello") -> codec.Event:
    return codec.Event(
        id="evt_1",
        type="omnibus.message.received.v1",
        source=events.NORMALIZER,
        subject="conv_1",
        time=1_772_368_215_250,
        recordedtime=1_772_368_215_900,
        data=events.MessageReceived(message=message(text)),
        convseq=3,
        causationid="raw_1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


def as_record(out: Out) -> Record:
    return Record(out.topic, 0, 7, out.ts_ms or 0, out.key, out.value, out.headers)


def test_an_event_survives_the_bus() -> None:
    assert codec.decode(as_record(codec.encode(event(), "t"))) == event()


def test_times_travel_as_rfc_3339_with_milliseconds() -> None:
    record = as_record(codec.encode(event(), "t"))
    assert record.header("ce_time") == b"2026-03-01T12:30:15.250Z"


def test_a_content_kind_of_a_newer_release_becomes_unsupported() -> None:
    out = codec.encode(event(), "t")
    assert out.value is not None
    out.value = out.value.replace(b'"type":"text"', b'"type":"hologram","depth":3')
    decoded = codec.decode(as_record(out)).data.message.content
    assert decoded == Unsupported(native_type="hologram", summary="content kind of a newer release")


def test_unknown_fields_are_ignored() -> None:
    out = codec.encode(event(), "t")
    assert out.value is not None
    out.value = out.value.replace(b'"id":"msg_1"', b'"id":"msg_1","mood":"sunny"')
    assert codec.decode(as_record(out)) == event()


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (b'"direction":"inbound"', b'"direction":7', "$.message.direction"),
        (b'"created_at":"2026-03-01T12:30:15.250000Z"', b'"created_at":"yesterday"', "$.message.created_at"),
    ],
)
def test_a_damaged_value_is_refused_with_its_path(old: bytes, new: bytes, path: str) -> None:
    out = codec.encode(event(), "t")
    assert out.value is not None
    out.value = out.value.replace(old, new)
    with pytest.raises(InvalidPayload) as caught:
        codec.decode(as_record(out))
    assert caught.value.path == path


@pytest.mark.parametrize("missing", ["ce_id", "ce_source", "ce_subject", "ce_time", "ce_type"])
def test_a_missing_attribute_is_refused_by_name(missing: str) -> None:
    out = codec.encode(event(), "t")
    out.headers = tuple(pair for pair in out.headers if pair[0] != missing)
    with pytest.raises(InvalidPayload, match=missing):
        codec.decode(as_record(out))


def test_events_satisfy_their_published_schema() -> None:
    document = schema.schemas()["omnibus.message.received.v1"]
    value = codec.encode(event(), "t").value
    assert value is not None
    jsonschema.Draft202012Validator(document).validate(msgspec.json.decode(value))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(document).validate({"message": {"id": "msg_1"}})


def golden_files() -> list[Path]:
    return sorted(GOLDEN.rglob("*.json"))


@pytest.mark.parametrize("path", golden_files(), ids=lambda path: path.relative_to(GOLDEN).as_posix())
def test_golden_events_of_every_release_still_decode(path: Path) -> None:
    """A file holds {"headers": {...}, "value": {...}} as some release published it; it never changes."""
    golden = msgspec.json.decode(path.read_bytes())
    headers = tuple((name, value.encode()) for name, value in golden["headers"].items())
    record = Record("omnibus.events", 0, 0, 0, b"k", msgspec.json.encode(golden["value"]), headers)
    decoded = codec.decode(record)
    assert msgspec.json.decode(codec.encode_data(decoded.data)) == golden["value"]
