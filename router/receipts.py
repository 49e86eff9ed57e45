"""How far our messages came: receipts find their message, in whatever order they arrive, and only ever move it on."""

from __future__ import annotations

from datetime import datetime

import msgspec

from omnibus.bus.port import Record
from omnibus.model.codec import Event
from omnibus.model.entities import DeliveryState, ExternalRef, Message
from omnibus.model.events import MessageDelivery, SinkResult
from router.state import advances, change_message, keep_early, note_native, note_sent, recent_messages, take_early
from router.turn import Turn

MAX_REFS = 20


def on_delivery(turn: Turn, event: Event, record: Record) -> None:
    """A report about one of our messages, from the sender (by our id) or the provider (by its own)."""
    report: MessageDelivery = event.data
    if report.delivery.status == "received":
        _on_copy(turn, report)
        return
    if report.up_to is not None:
        _fold_until(turn, report, report.up_to)
        return
    message_id = report.message_id or turn.state.natives.get(report.native_id or "")
    if message_id is not None:
        fold(turn, message_id, report)
    elif report.native_id is not None:
        keep_early(turn.state, event.id, event.time, report)


def fold(turn: Turn, message_id: str, report: MessageDelivery) -> None:
    """Apply a report to its message, then the receipts that came before the message's own name was known."""
    natives = {*report.delivery.external_ids, *([report.native_id] if report.native_id else [])}
    for native in sorted(natives):
        note_native(turn.state, native, message_id)
    _advance(turn, message_id, report)
    for native in sorted(natives):
        for _, early in take_early(turn.state, native):
            _advance(turn, message_id, early)


def _on_copy(turn: Turn, report: MessageDelivery) -> None:
    """A message of the contact's reached another of our addresses too: told to the owner, and no second message."""
    turn.publish("message.delivery", report)


def _fold_until(turn: Turn, report: MessageDelivery, until: datetime) -> None:
    """Apply a report on everything until some time to the messages that left by then, as far as we still know them."""
    for message in recent_messages(turn.state):
        left = message.direction == "outbound" and turn.state.sent.get(message.id) in ("sent", "delivered")
        if left and message.created_at <= until:
            _advance(turn, message.id, msgspec.structs.replace(report, up_to=None))


def _advance(turn: Turn, message_id: str, report: MessageDelivery) -> None:
    delivery = report.delivery
    if not advances(turn.state, message_id, delivery.status):
        return
    note_sent(turn.state, message_id, delivery.status)
    change_message(turn.state, message_id, lambda message: _delivered(message, delivery))
    turn.publish("message.delivery", msgspec.structs.replace(report, message_id=message_id))


def _delivered(message: Message, delivery: DeliveryState) -> Message:
    native = message.native
    if delivery.external_ids and native.message_id is None:
        native = msgspec.structs.replace(native, message_id=delivery.external_ids[0])
    return msgspec.structs.replace(message, status=delivery.status, delivery=delivery, native=native)


def on_sink_result(turn: Turn, event: Event, record: Record) -> None:
    """What a sink did: told to everybody, and the ticket it made is remembered with the conversation."""
    result: SinkResult = event.data
    if result.external_id is not None:
        _note_reference(turn, ExternalRef(system=result.sink, type="ticket", id=result.external_id))
    turn.publish(f"sink.{result.status}", result, to_owner=False)


def _note_reference(turn: Turn, reference: ExternalRef) -> None:
    known = turn.conversation.external_refs
    if reference not in known:
        turn.change(external_refs=(*known, reference)[-MAX_REFS:])


def on_outcome(turn: Turn, event: Event, record: Record) -> None:
    """Any other outcome about a conversation: republished for everybody."""
    turn.publish(event.type.removeprefix("omnibus.").removesuffix(".v1"), event.data)
