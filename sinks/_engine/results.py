"""What a sink did with an event, as an event of its own on the outcomes topic."""

from __future__ import annotations

from typing import Literal

from omnibus import clock
from omnibus.bus.port import Out
from omnibus.errors import Refused
from omnibus.model import codec, ids
from omnibus.model.events import SINKS, SinkResult
from sinks._engine.envelope import Envelope

_RESULTS = "omnibus.sink."


def is_result(envelope: Envelope) -> bool:
    """Whether the event is itself a sink's result: reports on those would keep two sinks busy for ever."""
    return envelope.type.startswith(_RESULTS)


def result(
    topic: str,
    sink: str,
    envelope: Envelope,
    status: Literal["delivered", "failed", "parked"],
    *,
    attempts: int,
    error: Exception | None = None,
    external_id: str | None = None,
) -> Out:
    """The `sink.<status>` record of an event. Its id is derived, so that reporting again changes nothing."""
    now = clock.now()
    data = SinkResult(
        sink=sink,
        event_id=envelope.id,
        conversation_id=envelope.subject,
        status=status,
        at=now,
        attempts=attempts,
        code=error.code if isinstance(error, Refused) else None,
        reason=None if error is None else _reason(error),
        external_id=external_id,
    )
    event = codec.Event(
        id=ids.derive("evt", sink, envelope.id, status),
        type=f"{_RESULTS}{status}.v1",
        source=SINKS,
        subject=envelope.subject,
        time=clock.to_ms(now),
        causationid=envelope.id,
        data=data,
    )
    return codec.encode(event, topic)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
