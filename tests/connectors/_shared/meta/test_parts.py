"""What fixtures cannot say: copies of one request for several accounts, and damage in one part of it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest

from connectors.instagram import mapping as instagram
from connectors.messenger import mapping as messenger
from omnibus.channel.receive import ADDRESSES, Request
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent

AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Product(NamedTuple):
    """A channel of Meta, and what its requests say they are about."""

    mapping: ModuleType
    channel: str
    object: str

    def body_of(self, *entries: dict[str, Any]) -> bytes:
        return msgspec.json.encode({"object": self.object, "entry": entries})

    def raw(self, body: bytes, **attributes: str) -> RawEvent:
        return RawEvent(
            id="raw_1", channel=self.channel, account="one", received_at=AT, body=body, attributes=attributes
        )


@pytest.fixture(params=["instagram", "messenger"])
def product(request: pytest.FixtureRequest) -> Product:
    return {
        "instagram": Product(instagram, "instagram", "instagram"),
        "messenger": Product(messenger, "messenger", "page"),
    }[request.param]


def entry(ours: str, *mids: Any) -> dict[str, Any]:
    """Somebody writes to us; a message whose id is no text is damaged."""
    items = [
        {"sender": {"id": "7001"}, "recipient": {"id": ours}, "timestamp": 1767603600000, "message": {"mid": mid}}
        for mid in mids
    ]
    return {"id": ours, "time": 1767603600000, "messaging": items}


def test_each_copy_holds_the_part_of_its_own_account(product: Product) -> None:
    mapping, body = product.mapping, product.body_of(entry("4001", "m1"), entry("4002", "m2"))
    assert [event.native_id for event in mapping.map_event(product.raw(body))] == ["m1", "m2"]
    assert [event.native_id for event in mapping.map_event(product.raw(body, **{ADDRESSES: "4002"}))] == ["m2"]
    assert mapping.threads(product.raw(body, **{ADDRESSES: "4002"})) == ("4002:7001",)


def test_the_front_door_learns_whom_a_request_is_for(product: Product) -> None:
    body = product.body_of(entry("4001", "m1"), entry("4002", "m2"))
    request = Request(method="POST", path="/in/one", received_at=AT, body=body)
    assert product.mapping.addresses(request) == ["4001", "4002"]
    assert product.mapping.addresses(msgspec.structs.replace(request, body=b"{")) == ()


def test_a_damaged_message_takes_no_other_with_it(product: Product) -> None:
    """The good ones are kept, and the damage is reported after them."""
    found = []
    body = product.body_of(entry("4001", "m1", 17, "m3"), entry("4002", "m4"))
    damage = None
    try:
        for event in product.mapping.map_event(product.raw(body)):
            found.append(event.native_id)  # noqa: PERF401 - what came before the damage is the point
    except InvalidPayload as error:
        damage = error
    assert found == ["m1", "m3", "m4"]
    assert damage is not None
