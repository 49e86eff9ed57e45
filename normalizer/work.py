"""One raw event while it is being normalised: where it came from, and how events leave."""

from __future__ import annotations

from typing import Any

import msgspec

from normalizer.policy import Policy
from normalizer.state import State, Thread
from omnibus import clock
from omnibus.bus.port import Headers, Record
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.model import events, ids
from omnibus.model.base import Model
from omnibus.model.codec import Event, encode
from omnibus.model.entities import RawRef
from omnibus.model.raw import RawEvent
from omnibus.stage.contract import Ctx

_NUL = b"\\u0000"


class Work:
    """What every step needs of the raw event in hand."""

    def __init__(
        self, record: Record, raw: RawEvent, account: Account, topics: Topics, policy: Policy, state: State, ctx: Ctx
    ) -> None:
        self.record = record
        self.raw = raw
        self.account = account
        self.topics = topics
        self.policy = policy
        self.state = state
        self.ctx = ctx
        self.received_ms = clock.to_ms(raw.received_at)
        trace = record.header("traceparent")
        self._traceparent = None if trace is None else trace.decode("ascii", "replace")

    @property
    def raw_ref(self) -> RawRef:
        return RawRef(topic=self.record.topic, partition=self.record.partition, offset=self.record.offset)

    @property
    def scope(self) -> str:
        """What threads and ids are unique in: the account, or what it shares them with."""
        return self.raw.scope or self.raw.account

    def event_id(self, native: str, kind: str, revision: str | int = 0) -> str:
        """The id of the event of that kind about that native event of this account or scope."""
        return ids.event_id(self.scope, native, kind, revision)

    def emit(
        self,
        thread: Thread,
        kind: str,
        event_id: str,
        data: Model,
        *,
        at_ms: int,
        id_quality: str | None = None,
        headers: Headers = (),
    ) -> None:
        """Write a unified event of a conversation; `kind` is ``message.received`` and the like."""
        thread.convseq += 1
        event = Event(
            id=event_id,
            type=f"omnibus.{kind}.v1",
            source=events.NORMALIZER,
            subject=thread.conversation_id,
            time=at_ms,
            recordedtime=self.received_ms,
            data=data,
            convseq=thread.convseq,
            origin=self.raw.origin,
            causationid=self.raw.id,
            traceparent=self._traceparent,
            id_quality=id_quality,
        )
        out = encode_safely(event, self.topics.events)
        out.headers = (*out.headers, *headers)
        self.ctx.emit(out)


def encode_safely(event: Event, topic: str) -> Any:
    """The record of an event whose texts may hold NUL or lone surrogates, which no database downstream takes."""
    try:
        out = encode(event, topic)
    except UnicodeEncodeError:
        return encode(_cleaned(event), topic)
    if out.value is not None and _NUL in out.value:
        return encode(_cleaned(event), topic)
    return out


def _cleaned(event: Event) -> Event:
    data = msgspec.convert(_clean(msgspec.to_builtins(event.data)), type(event.data))
    return msgspec.structs.replace(event, data=data)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
