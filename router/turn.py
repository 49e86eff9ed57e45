"""One record (or timer) in the router's hands: the conversation it is about, and how facts leave."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibus import clock
from omnibus.bus.port import Out, Record
from omnibus.model import events, ids
from omnibus.model.base import Model
from omnibus.model.codec import Event, encode, encode_data
from omnibus.model.entities import Conversation
from omnibus.stage.contract import Ctx
from router.board import Board, Others
from router.plan import Plan
from router.state import ConversationState

SNAPSHOT_TYPE = b"application/json"


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What made the router act. `time_ms` is when it happened for us: facts that follow carry that time."""

    id: str
    time_ms: int
    origin: str = "live"
    correlationid: str | None = None
    traceparent: str | None = None


def cause_of(event: Event) -> Cause:
    """The cause that an event is. Its recorded time counts: providers date messages as they like."""
    return Cause(
        id=event.id,
        time_ms=event.time if event.recordedtime is None else event.recordedtime,
        origin=event.origin,
        correlationid=event.correlationid,
        traceparent=event.traceparent,
    )


class Turn:
    """Handles one cause. `state` is written back by `done`; the snapshot goes out when the conversation changed."""

    def __init__(
        self, ctx: Ctx, plan: Plan, cause: Cause, state: ConversationState, others: Others | None = None
    ) -> None:
        self.ctx = ctx
        self.plan = plan
        self.cause = cause
        self.state = state
        self.before = state.conversation
        self.board = Board(ctx, plan.topics, others or Others())
        self._count = 0

    @property
    def conversation(self) -> Conversation:
        return self.state.conversation

    @property
    def key(self) -> bytes:
        return self.conversation.id.encode()

    def change(self, **fields: Any) -> None:
        """Change fields of the conversation."""
        self.state.conversation = msgspec.structs.replace(self.state.conversation, **fields)

    @property
    def changed(self) -> bool:
        return self.state.conversation is not self.before and self.state.conversation != self.before

    def owner_topic(self) -> str | None:
        """The topic of whoever has the conversation: its queue's, its automation's, or none."""
        controller = self.conversation.controller
        if controller.type == "automation" and controller.id is not None:
            return self.plan.topics.automation(controller.id)
        queue = self.conversation.queue
        return None if queue is None else self.plan.topics.queue(queue)

    def publish(self, kind: str, data: Model, *, to_owner: bool = True, to: str | None = None) -> None:
        """Write a fact of ours: on the events topic, and on the owner's (or `to`, instead of it)."""
        event = self._event(f"omnibus.{kind}.v1", data)
        out = encode(event, self.plan.topics.events)
        self.ctx.emit(out)
        topic = to or (self.owner_topic() if to_owner else None)
        if topic is not None:
            self.ctx.emit(Out(topic, out.key, out.value, out.headers, None, out.ts_ms))

    def send(self, kind: str, data: Model, topic: str, partition: int | None = None, key: bytes | None = None) -> None:
        """Write a record for another stage alone."""
        out = encode(self._event(kind, data), topic)
        out.partition = partition
        out.key = key or out.key
        self.ctx.emit(out)

    def forward(self, record: Record) -> None:
        """Give the owner a record of the events topic as it is."""
        topic = self.owner_topic()
        if topic is not None:
            self.ctx.emit(Out(topic, record.key, record.value, record.headers, None, record.ts_ms))

    def derived(self, prefix: str, *parts: str | int) -> str:
        """An id of something this cause makes: the same whenever the cause is handled again."""
        return ids.derive(prefix, self.conversation.id, self.cause.id, *parts)

    def _event(self, kind: str, data: Model) -> Event:
        self._count += 1
        self.state.sequence += 1
        account = self.conversation.channel_account_id
        return Event(
            id=ids.event_id(account, self.cause.id, kind, self._count),
            type=kind,
            source=events.ROUTER,
            subject=self.conversation.id,
            time=self.cause.time_ms,
            recordedtime=self.ctx.now_ms,
            data=data,
            convseq=self.state.sequence,
            origin=self.cause.origin,
            correlationid=self.cause.correlationid,
            causationid=self.cause.id,
            traceparent=self.cause.traceparent,
        )

    def snapshot(self) -> None:
        """Publish the conversation as it is now, when this turn changed it."""
        if not self.changed:
            return
        self.change(sequence=self.before.sequence + 1)
        self.ctx.emit(
            Out(
                self.plan.topics.conversations,
                self.key,
                encode_data(self.conversation),
                (("content-type", SNAPSHOT_TYPE),),
                None,
                self.ctx.now_ms,
            )
        )

    @property
    def at(self) -> Any:
        """When the cause happened, as a timestamp of the model."""
        return clock.from_ms(self.cause.time_ms)
