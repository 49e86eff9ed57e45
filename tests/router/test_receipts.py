"""Receipts, in whatever order they come."""

from __future__ import annotations

import itertools

import pytest

from omnibus import clock
from omnibus.bus.port import Record
from omnibus.model import events
from omnibus.model.content import Text
from omnibus.model.entities import ExternalRef
from omnibus.model.events import SinkResult
from router.rehearsal import Rehearsal, a_reply, conversation_id


@pytest.fixture
def sent(router: Rehearsal) -> tuple[Rehearsal, str]:
    """A router, and the id of a reply that is on its way."""
    router.says("hi")
    router.commands(a_reply("hello"))
    return router, router.on("omnibus.outbound.webchat")[0].data.message.id


def statuses(router: Rehearsal) -> list[str]:
    """What the owner was told of deliveries."""
    told = [event for event in router.on("omnibus.queue.general") if event.type == "omnibus.message.delivery.v1"]
    return [event.data.delivery.status for event in told]


def test_a_receipt_finds_its_message_by_the_providers_id(sent: tuple[Rehearsal, str]) -> None:
    router, message = sent
    router.step(router.outcome("sent", message, native_ids=["wamid.1"]))
    router.step(router.receipt("delivered", native_id="wamid.1"))
    router.step(router.receipt("read", native_id="wamid.1"))

    assert statuses(router) == ["sent", "delivered", "read"]
    last = router.on("omnibus.queue.general")[-1]
    assert last.data.message_id == message


def test_a_receipt_that_is_faster_than_the_outcome_waits_for_it(sent: tuple[Rehearsal, str]) -> None:
    router, message = sent
    router.step(router.receipt("delivered", native_id="wamid.1"))
    assert statuses(router) == []

    router.step(router.outcome("sent", message, native_ids=["wamid.1"]))

    assert statuses(router) == ["sent", "delivered"]


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "delivered", "read"])))
def test_whatever_the_order_the_status_only_moves_on(sent: tuple[Rehearsal, str], order: tuple[str, ...]) -> None:
    router, message = sent
    for status in order:
        record = (
            router.outcome("sent", message, native_ids=["wamid.1"])
            if status == "sent"
            else router.receipt(status, native_id="wamid.1")
        )
        router.step(record)

    ranks = [["sent", "delivered", "read"].index(status) for status in statuses(router)]
    assert ranks == sorted(ranks)
    assert statuses(router)[-1] == "read"


def test_a_receipt_for_everything_until_a_time_leaves_later_messages_alone(sent: tuple[Rehearsal, str]) -> None:
    """Messenger says only until when somebody has read."""
    router, message = sent
    router.step(router.outcome("sent", message, native_ids=["m_1"]))
    sent_ms = router.now_ms
    router.now_ms += 60_000
    router.commands(a_reply("and this"))
    later = router.on("omnibus.outbound.webchat")[-1].data.message.id
    router.step(router.outcome("sent", later, native_ids=["m_2"]))

    router.step(router.receipt("read", up_to_ms=sent_ms))

    reads = [event.data for event in router.on("omnibus.queue.general") if event.type == "omnibus.message.delivery.v1"]
    assert [read.message_id for read in reads if read.delivery.status == "read"] == [message]


def test_an_echo_of_our_own_message_is_not_a_second_one(sent: tuple[Rehearsal, str]) -> None:
    """Some channels show us everything that is written in a conversation, our own replies too."""
    router, message = sent
    router.step(router.outcome("sent", message, native_ids=["m_1"]))
    before = len(router.on("omnibus.queue.general"))

    echo = router.received("c1", Text(text="hello"), native_id="m_1", direction="outbound", status="sent")
    router.step(echo)

    assert len(router.on("omnibus.queue.general")) == before


def test_a_receipt_for_nobody_is_forgotten_in_time(sent: tuple[Rehearsal, str]) -> None:
    router, _ = sent
    size = max(len(value) for _, value in router.backing.scan(b"\x10", b"\x11", 10))
    for number in range(200):
        router.step(router.receipt("read", native_id=f"unknown-{number}"))

    assert max(len(value) for _, value in router.backing.scan(b"\x10", b"\x11", 10)) < size + 8_000
    assert statuses(router) == []


def test_a_refused_message_is_told_as_failed(sent: tuple[Rehearsal, str]) -> None:
    router, message = sent
    router.step(router.outcome("failed", message))
    router.step(router.outcome("failed", message))

    assert statuses(router) == ["failed"]


def test_the_ticket_a_sink_made_is_remembered(router: Rehearsal) -> None:
    router.says("hi")
    result = SinkResult(
        sink="helpdesk",
        event_id="evt_1",
        conversation_id=conversation_id("c1"),
        status="delivered",
        at=clock.from_ms(router.now_ms),
        external_id="4711",
    )
    record: Record = router.record("omnibus.outcomes", "sink.delivered", result, events.SINKS)
    router.step(record)

    assert router.conversation().external_refs == (ExternalRef(system="helpdesk", type="ticket", id="4711"),)
    assert router.kinds("omnibus.events")[-1] == "sink.delivered"
