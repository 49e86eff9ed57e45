"""What a sink sees of a record, and what it writes of it, is one CloudEvent with a stable id."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from omnibus.bus.port import Record
from omnibus.errors import InvalidPayload
from omnibus.model import codec
from omnibus.model.codec import encode_data
from omnibus.stage.step import dead_letter
from sinks._engine.envelope import SNAPSHOT, envelope_of

if TYPE_CHECKING:
    from tests.sinks.conftest import Installation

Make = type["Installation"]


def record(make: Make, **more: object) -> Record:
    event = msgspec.structs.replace(make.received(1), **more)
    return make.record(codec.encode(event, "omnibus.events"))


def test_every_attribute_is_written(make: Make) -> None:
    full = record(
        make,
        recordedtime=1_767_603_601_000,
        convseq=12,
        origin="replay",
        correlationid="cor_1",
        causationid="cau_1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        id_quality="derived",
    )
    envelope = envelope_of(full)
    assert envelope is not None
    written = json.loads(envelope.cloudevent())
    assert written.pop("data")["message"]["id"] == "msg_conv_1_1"
    assert written == {
        "specversion": "1.0",
        "id": "evt_conv_1_1",
        "type": "omnibus.message.received.v1",
        "source": "/omnibus/normalizer",
        "subject": "conv_1",
        "time": "2026-01-05T09:00:00.000Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:omnibus:schema:omnibus.message.received.v1",
        "partitionkey": "conv_1",
        "recordedtime": "2026-01-05T09:00:01.000Z",
        "origin": "replay",
        "idquality": "derived",
        "correlationid": "cor_1",
        "causationid": "cau_1",
        "convseq": 12,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }


def test_an_event_is_one_line_however_its_data_was_written(make: Make) -> None:
    pretty = msgspec.structs.replace(record(make), value=b'{\n  "text": "a\\nb"\n}')
    envelope = envelope_of(pretty)
    assert envelope is not None
    assert b"\n" not in envelope.cloudevent()
    assert json.loads(envelope.cloudevent())["data"] == {"text": "a\nb"}


def test_a_kind_of_a_newer_release_passes_through(make: Make) -> None:
    """Consumers skip unknown types; a sink has no reason to lose them."""
    headers = [("ce_type", b"omnibus.message.sung.v1") if name == "ce_type" else (name, value)
               for name, value in record(make).headers]  # fmt: skip
    envelope = envelope_of(msgspec.structs.replace(record(make), headers=tuple(headers)))
    assert envelope is not None
    assert (envelope.name, json.loads(envelope.cloudevent())["type"]) == ("message.sung", "omnibus.message.sung.v1")


def test_a_conversation_snapshot_is_named_by_its_content(make: Make) -> None:
    def snapshot(offset: int, subject: str) -> str:
        value = encode_data(make.conversation(subject=subject))
        entry = Record("omnibus.conversations", 0, offset, 1_767_603_600_000, b"conv_1", value)
        envelope = envelope_of(entry)
        assert envelope is not None
        assert (envelope.type, envelope.subject, envelope.time) == (SNAPSHOT, "conv_1", "2026-01-05T09:00:00.000Z")
        return envelope.id

    assert snapshot(1, "a") == snapshot(2, "a") != snapshot(3, "b")


def test_a_tombstone_is_nothing_to_deliver() -> None:
    assert envelope_of(Record("omnibus.conversations", 0, 1, 0, b"conv_1", None)) is None


def test_a_raw_event_among_the_dead_letters_keeps_its_bytes(make: Make) -> None:
    raw = msgspec.structs.replace(
        record(make),
        value=b"\x81\xa1a\x01",
        headers=tuple(
            ("content-type", b"application/vnd.omnibus.raw+msgpack") if name == "content-type" else (name, value)
            for name, value in record(make).headers
        ),
    )
    letter = dead_letter("omnibus.dead-letters", "normalizer", raw, InvalidPayload("message.id", "missing"))
    envelope = envelope_of(make.record(letter))
    assert envelope is not None
    written = json.loads(envelope.cloudevent())
    assert base64.b64decode(written["data_base64"]) == b"\x81\xa1a\x01"
    assert "data" not in written
    assert (written["deadstage"], written["deadreason"]) == ("normalizer", "message.id: missing")


@pytest.mark.parametrize("value", [b"", b"{", b"nope", b'{"a": 1} trailing'])
def test_data_that_is_no_json_is_refused(make: Make, value: bytes) -> None:
    with pytest.raises(InvalidPayload, match="data"):
        envelope_of(msgspec.structs.replace(record(make), value=value))


def test_an_event_without_an_id_is_refused(make: Make) -> None:
    headers = tuple(pair for pair in record(make).headers if pair[0] != "ce_id")
    with pytest.raises(InvalidPayload, match="ce_id"):
        envelope_of(msgspec.structs.replace(record(make), headers=headers))
