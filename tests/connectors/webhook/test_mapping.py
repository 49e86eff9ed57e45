"""What fixtures cannot say of the webhook's mapping."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.webhook.mapping import map_event, threads
from connectors.webhook.settings import MAPPING_ATTRIBUTE, HmacSettings, MappingSettings, WebhookSettings
from connectors.webhook.verify import stored_mapping
from omnibus.channel.events import Message, from_json, to_json
from omnibus.channel.receive import Request
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KNOWN = st.sampled_from(
    ["id", "from", "text", "thread", "time", "subject", "sender", "attachments", "attributes", "email", "phone", "data"]
)


def raw(body: Any, mapping: MappingSettings | None = None, **headers: str) -> RawEvent:
    attributes = {} if mapping is None else {MAPPING_ATTRIBUTE: msgspec.json.encode(mapping).decode()}
    return RawEvent(
        id="raw_1",
        channel="webhook",
        account="site",
        received_at=AT,
        body=body if isinstance(body, bytes) else orjson.dumps(body),
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
        attributes=attributes,
    )


def only(event: RawEvent) -> Message:
    (message,) = map_event(event)
    return message


@given(st.dictionaries(KNOWN | st.text(max_size=8), JSON, max_size=8) | st.lists(JSON, max_size=5))
def test_any_json_is_messages_or_invalid(body: Any) -> None:
    try:
        events = list(map_event(raw(body)))
    except InvalidPayload:
        return
    assert from_json(to_json(list(events))) == events
    assert {event.thread for event in events} == set(threads(raw(body)))


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("2026-01-05T08:00:00Z", "2026-01-05T08:00:00+00:00"),
        ("2026-01-05T08:00:00.123456-03:00", "2026-01-05T11:00:00.123000+00:00"),
        ("2026-01-05 08:00:00", "2026-01-05T08:00:00+00:00"),
        (1767600000, "2026-01-05T08:00:00+00:00"),
        (1767600000.5, "2026-01-05T08:00:00.500000+00:00"),
        (1767600000123, "2026-01-05T08:00:00.123000+00:00"),
        ("1767600000123", "2026-01-05T08:00:00.123000+00:00"),
    ],
)
def test_time_is_read_in_the_ways_systems_write_it(time: object, read: str) -> None:
    assert only(raw({"from": "ana", "text": "hi", "time": time})).at == datetime.fromisoformat(read)


@pytest.mark.parametrize("time", ["soon", "", -5, 0, 1e300, True, [], {}, "0001-01-01T00:00:00+14:00", "9" * 400])
def test_a_time_that_is_none_costs_no_message(time: object) -> None:
    assert only(raw({"from": "ana", "text": "hi", "time": time})).at == AT


@pytest.mark.parametrize(
    ("sender", "scheme", "normalized"),
    [
        ("Ana@Example.com", "email", "ana@example.com"),
        ("+1 (202) 555-0147", "e164", "+12025550147"),
        ("202 555 0147", "opaque", None),
        ("ana", "opaque", None),
        (42, "opaque", None),
    ],
)
def test_a_sender_is_known_by_what_they_are_called(sender: object, scheme: str, normalized: str | None) -> None:
    party = only(raw({"from": sender, "text": "hi"})).sender
    assert (party.scheme, party.normalized) == (scheme, normalized)


def test_an_id_that_lost_its_digits_is_no_id() -> None:
    assert only(raw(b'{"id":123456789012345678901234567890,"from":"ana","text":"hi"}')).native_id is None


def test_keys_that_are_too_long_are_named_by_their_hash() -> None:
    one, other = (only(raw({"id": "i" * 600 + end, "thread": "t" * 600 + end, "from": "ana"})) for end in "ab")
    assert len(one.thread) == len(one.native_id or "") == len("sha256:") + 64
    assert (one.thread, one.native_id) != (other.thread, other.native_id)


def test_nameless_messages_are_not_mixed_up() -> None:
    assert only(raw({"text": "one"})).thread != only(raw({"text": "two"})).thread
    assert only(raw({"text": "one"})).thread == only(raw({"text": "one"})).thread


def test_attributes_stay_small_and_plain() -> None:
    given = {f"key{index}": "x" * 2_000 for index in range(50)} | {"list": [1], "none": None}
    attributes = only(raw({"from": "ana", "text": "hi", "attributes": given})).attributes
    assert len(msgspec.json.encode(attributes)) <= 4_096
    assert all(isinstance(value, str) and len(value) <= 1_024 for value in attributes.values())


def test_files_are_bounded_and_named_without_their_folder() -> None:
    files = [{"url": f"https://files.example.com/{index}", "name": "../../etc/x.png"} for index in range(80)]
    message = only(raw({"from": "ana", "text": "hi", "attachments": files}))
    assert len(message.attachments) == 50
    assert {file.file_name for file in message.attachments} == {"x.png"}


def test_a_mapping_is_kept_with_the_request_only_where_it_is_special() -> None:
    request = Request(method="POST", path="/in/site", received_at=AT)
    assert stored_mapping(request, WebhookSettings()) == {}
    special = WebhookSettings(mapping=MappingSettings(text="note"))
    kept = stored_mapping(request, special)
    event = raw({"from": "ana", "note": "hi", "text": "not this"})
    assert to_json([only(msgspec.structs.replace(event, attributes=dict(kept)))]).count(b'"hi"') == 1


def test_a_mapping_that_cannot_be_read_is_invalid() -> None:
    with pytest.raises(InvalidPayload, match=r"attributes\.mapping"):
        list(map_event(msgspec.structs.replace(raw({"text": "hi"}), attributes={MAPPING_ATTRIBUTE: "{"})))


def test_a_batch_that_is_not_where_it_should_be_is_invalid() -> None:
    with pytest.raises(InvalidPayload, match="items"):
        list(map_event(raw({"text": "hi"}, MappingSettings(items="rows"))))


def test_settings_that_would_prove_nothing_are_refused() -> None:
    for proof in ("token", "bearer", "hmac", "standard_webhooks"):
        with pytest.raises(ValueError, match="webhook_secret"):
            WebhookSettings(verify=proof)
    with pytest.raises(ValueError, match="timestamp"):
        HmacSettings(timestamp_header="X-Time", template="v0:")
