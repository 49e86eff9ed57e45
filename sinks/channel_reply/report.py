"""What came of an outbound message, as a `message.delivery` event on the outcomes topic."""

from __future__ import annotations

from omnibus import clock
from omnibus.bus.port import Out
from omnibus.channel.send import Sent
from omnibus.errors import Refused
from omnibus.model import codec, ids
from omnibus.model.entities import DeliveryState, FailureReason
from omnibus.model.events import SINKS, MessageDelivery, Outbound

DELIVERY = "omnibus.message.delivery.v1"


def sent(event: codec.Event, result: Sent, attempts: int, topic: str) -> Out:
    """The channel took the message."""
    state = DeliveryState(status=result.status, at=clock.now(), attempts=attempts, external_ids=result.native_ids)
    native_id = result.native_ids[0] if result.native_ids else None
    return _delivery(event, state, topic, native_id)


def failed(event: codec.Event, refusal: Refused, attempts: int, topic: str) -> Out:
    """The message did not leave and will not."""
    reason = FailureReason(code=refusal.code, native_code=refusal.native_code, description=refusal.reason[:500])
    state = DeliveryState(status="failed", at=clock.now(), attempts=attempts, reason=reason, final=True)
    return _delivery(event, state, topic, None)


def _delivery(event: codec.Event, state: DeliveryState, topic: str, native_id: str | None) -> Out:
    outbound: Outbound = event.data
    message = outbound.message
    data = MessageDelivery(
        conversation_id=message.conversation_id,
        message_id=message.id,
        native_id=native_id,
        recipient=outbound.recipient.value,
        command_id=outbound.command_id,
        delivery=state,
    )
    report = codec.Event(
        # Of the message and the status alone, so that reporting once more after a crash is the same fact.
        id=ids.derive("evt", message.id, DELIVERY, state.status),
        type=DELIVERY,
        source=SINKS,
        subject=message.conversation_id,
        time=clock.to_ms(state.at),
        origin=event.origin,
        correlationid=event.correlationid,
        causationid=event.id,
        traceparent=event.traceparent,
        data=data,
    )
    return codec.encode(report, topic)
