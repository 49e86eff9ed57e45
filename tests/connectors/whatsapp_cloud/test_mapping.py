"""What fixtures cannot say: copies of one request for several accounts, and damage in one part of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from connectors.whatsapp_cloud.mapping import addresses, map_event, threads
from omnibus.channel.events import AnyEvent, Message
from omnibus.channel.receive import ADDRESSES, Request
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


def change(number: str, *messages: dict[str, Any]) -> dict[str, Any]:
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": number}, "messages": messages}
    return {"field": "messages", "value": value}


def text(native_id: str, sender: str = "12025550101", **more: Any) -> dict[str, Any]:
    return {"id": native_id, "from": sender, "timestamp": "1767603600", "type": "text", "text": {"body": "hi"}, **more}


def body_of(*changes: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"object": "whatsapp_business_account", "entry": [{"id": "9001", "changes": changes}]})


def raw(body: bytes, **attributes: str) -> RawEvent:
    return RawEvent(
        id="raw_1", channel="whatsapp_cloud", account="one", received_at=AT, body=body, attributes=attributes
    )


def readable(event: RawEvent) -> tuple[list[AnyEvent], InvalidPayload | None]:
    """The events up to the damage, and the damage."""
    found: list[AnyEvent] = []
    try:
        for one in map_event(event):
            found.append(one)  # noqa: PERF402 - what came before the damage is the point
    except InvalidPayload as damage:
        return found, damage
    return found, None


def test_each_copy_holds_the_part_of_its_own_account() -> None:
    body = body_of(change("1055", text("w1")), change("2066", text("w2")))
    assert [event.native_id for event in map_event(raw(body))] == ["w1", "w2"]
    assert [event.native_id for event in map_event(raw(body, **{ADDRESSES: "1055"}))] == ["w1"]
    assert [event.native_id for event in map_event(raw(body, **{ADDRESSES: "2066 3077"}))] == ["w2"]
    assert threads(raw(body, **{ADDRESSES: "2066"})) == ("2066:12025550101",)


def test_the_front_door_learns_which_numbers_a_request_is_for() -> None:
    account = {"field": "account_update", "value": {"event": "DISABLED_UPDATE"}}
    request = Request(method="POST", path="/in/one", received_at=AT, body=body_of(change("1055", text("w1")), account))
    assert addresses(request) == ["1055", "9001"]
    assert addresses(msgspec.structs.replace(request, body=b"{")) == ()


def test_a_damaged_message_takes_no_other_with_it() -> None:
    """The good ones are kept, and the damage is reported after them."""
    body = body_of(change("1055", text("w1"), text("w2", text={"body": 17}), text("w3")), change("1055", text("w4")))
    events, damage = readable(raw(body))
    assert [event.native_id for event in events] == ["w1", "w3", "w4"]
    assert damage is not None
    assert "messages" in damage.path
    assert threads(raw(body)) == ("1055:12025550101",)


def test_a_request_without_anything_readable_is_told_at_once() -> None:
    with pytest.raises(InvalidPayload):
        threads(raw(body_of(change("1055", text("w1", text={"body": 17})))))


def test_a_person_is_the_same_with_and_without_their_number() -> None:
    """A username hides the number, and shows it again while somebody knows it."""
    hidden = text("w1", from_user_id="BR.101")
    del hidden["from"]
    body = body_of(change("1055", hidden, text("w2", from_user_id="BR.101")))
    first, second = map_event(raw(body))
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert (first.thread, first.sender.value) == (second.thread, second.sender.value) == ("1055:BR.101", "BR.101")
    assert second.attributes["phone"] == "12025550101"
