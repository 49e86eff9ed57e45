"""What fixtures cannot say: copies of one request for several accounts, and damage in one part of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors.instagram.mapping import addresses, map_event, threads
from omnibus.channel.receive import ADDRESSES, Request
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


def entry(ours: str, *mids: Any) -> dict[str, Any]:
    """Somebody writes to us; a message whose id is no text is damaged."""
    items = [
        {"sender": {"id": "7001"}, "recipient": {"id": ours}, "timestamp": 1767603600000, "message": {"mid": mid}}
        for mid in mids
    ]
    return {"id": ours, "time": 1767603600000, "messaging": items}


def body_of(*entries: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"object": "instagram", "entry": entries})


def raw(body: bytes, **attributes: str) -> RawEvent:
    return RawEvent(id="raw_1", channel="instagram", account="one", received_at=AT, body=body, attributes=attributes)


def test_each_copy_holds_the_part_of_its_own_account() -> None:
    body = body_of(entry("4001", "m1"), entry("4002", "m2"))
    assert [event.native_id for event in map_event(raw(body))] == ["m1", "m2"]
    assert [event.native_id for event in map_event(raw(body, **{ADDRESSES: "4002"}))] == ["m2"]
    assert threads(raw(body, **{ADDRESSES: "4002"})) == ("4002:7001",)


def test_the_front_door_learns_whom_a_request_is_for() -> None:
    body = body_of(entry("4001", "m1"), entry("4002", "m2"))
    request = Request(method="POST", path="/in/one", received_at=AT, body=body)
    assert addresses(request) == ["4001", "4002"]
    assert addresses(msgspec.structs.replace(request, body=b"{")) == ()


def test_a_damaged_message_takes_no_other_with_it() -> None:
    """The good ones are kept, and the damage is reported after them."""
    found = []
    damage = None
    try:
        for event in map_event(raw(body_of(entry("4001", "m1", 17, "m3"), entry("4002", "m4")))):
            found.append(event.native_id)  # noqa: PERF401 - what came before the damage is the point
    except InvalidPayload as error:
        damage = error
    assert found == ["m1", "m3", "m4"]
    assert damage is not None
