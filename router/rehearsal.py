"""A router in memory, and made-up traffic for it: to rehearse rules before they go live, to test, to measure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from omnibus import clock
from omnibus.bus.port import Out, Record
from omnibus.model import events, ids
from omnibus.model.base import Model
from omnibus.model.codec import Event, decode, encode, type_of
from omnibus.model.content import Content, Text
from omnibus.model.entities import (
    Author,
    ChannelIdentity,
    Conversation,
    DeliveryState,
    Message,
    Native,
    RawRef,
    RoutingDecision,
)
from omnibus.model.events import (
    ConversationClosed,
    ConversationOpened,
    MessageDelivery,
    MessageReceived,
    Reply,
)
from omnibus.stage.step import due_timers, prefix_end
from omnibus.testing.memory_state import MemoryBacking, run
from router.plan import Plan
from router.stage import RouterStage, spec

CHANNEL = "webchat"
ACCOUNT = "site-chat"
START_MS = 1_767_603_600_000
"""Monday 5 January 2026, 09:00 UTC."""
_LAST = b"\xff" * 129


class MemoryTable:
    """The latest value of every key, as the board's readers see it (a `ReadTable`)."""

    def __init__(self) -> None:
        self._values = MemoryBacking()

    def take(self, outs: Iterable[Out]) -> None:
        """Read what was written on the table's topic."""
        self._values.apply({out.key: out.value for out in outs if out.key is not None})

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def scan(self, prefix: bytes = b"", limit: int = 1_000) -> Sequence[tuple[bytes, bytes]]:
        return self._values.scan(prefix, prefix_end(prefix) if prefix else _LAST, limit)


class Rehearsal:
    """Runs one partition of the router over records, and keeps what it wrote, by topic.

    Time stands still until `later` moves it. `plan` may be replaced between steps.
    """

    def __init__(self, plan: Plan, *, now_ms: int = START_MS) -> None:
        self.plan = plan
        self.now_ms = now_ms
        self.backing = MemoryBacking()
        self.table = MemoryTable()
        self.partition = 0
        self.written: list[Out] = []
        self.dead: list[Out] = []
        self._spec = spec(plan.topics)
        self._stage = RouterStage(lambda: self.plan)
        self._offset = 0
        self._convseq: dict[str, int] = {}

    # --- running ---------------------------------------------------------------------------------

    def step(self, *records: Record) -> list[Out]:
        """One step: due timers, then `records`; returns what it wrote besides dead letters."""
        result = run(
            self._stage,
            self._spec,
            *records,
            backing=self.backing,
            now_ms=self.now_ms,
            tables={self.plan.topics.routing: self.table},
            partition=self.partition,
        )
        self.table.take(out for out in result.outs if out.topic == self.plan.topics.routing)
        self.dead += result.dead
        outs = [out for out in result.outs if out not in result.dead]
        self.written += outs
        return outs

    def later(self, by: timedelta) -> list[Out]:
        """Let time pass, and fire what is due then, and what those timers make due."""
        self.now_ms += int(by.total_seconds() * 1000)
        outs = self.step()
        while any(due_timers(self.backing, self.now_ms, 1)):
            outs += self.step()
        return outs

    def forget(self) -> None:
        """Forget what was written, for runs of which only the state matters."""
        self.written.clear()

    def on(self, topic: str) -> list[Event]:
        """Everything written on a topic, decoded."""
        return [decode(_as_record(out)) for out in self.written if out.topic == topic]

    def kinds(self, topic: str) -> list[str]:
        """The types of everything written on a topic, without prefix and version."""
        kinds = [type_of(_as_record(out)) or "" for out in self.written if out.topic == topic]
        return [kind.removeprefix("omnibus.").removesuffix(".v1") for kind in kinds]

    def conversation(self, conversation: str = "c1") -> Conversation:
        """The latest snapshot of a conversation."""
        key = conversation_id(conversation).encode()
        values = [out.value for out in self.written if out.topic == self.plan.topics.conversations and out.key == key]
        return msgspec.json.decode(values[-1] or b"", type=Conversation)

    def decisions(self) -> list[RoutingDecision]:
        """Every routing decision, in order."""
        kind = "omnibus.routing.decided.v1"
        return [event.data.decision for event in self.on(self.plan.topics.events) if event.type == kind]

    # --- made-up traffic -------------------------------------------------------------------------

    def says(self, text: str, conversation: str = "c1", **message: Any) -> list[Out]:
        """A contact writes; the first time, that opens the conversation."""
        opening = [] if conversation_id(conversation) in self._convseq else [self.opened(conversation)]
        return self.step(*opening, self.received(conversation, Text(text=text), **message))

    def commands(self, data: Model, conversation: str = "c1", *, command_id: str | None = None) -> list[Out]:
        """Somebody downstream commands."""
        return self.step(self.command(data, conversation, command_id=command_id))

    def opened(self, conversation: str = "c1", *, origin: str = "live", **fields: Any) -> Record:
        """The normalizer opened a conversation."""
        return self._normalized(
            "conversation.opened", ConversationOpened(conversation=a_conversation(conversation, **fields)), origin
        )

    def received(
        self, conversation: str, content: Content, *, origin: str = "live", event_id: str | None = None, **fields: Any
    ) -> Record:
        """The normalizer put a message into a conversation."""
        self._offset += 1
        native = fields.pop("native_id", f"n{self._offset}")
        message = Message(
            **{
                "id": ids.message_id(ACCOUNT, native),
                "conversation_id": conversation_id(conversation),
                "channel": CHANNEL,
                "channel_account_id": ACCOUNT,
                "direction": "inbound",
                "author": Author(type="contact", display_name="Ana"),
                "content": content,
                "status": "received",
                "created_at": clock.from_ms(self.now_ms),
                "received_at": clock.from_ms(self.now_ms),
                "native": Native(message_id=native, thread_id=f"thread-{conversation}"),
                "raw_ref": RawRef(topic=self.plan.topics.raw(CHANNEL), partition=3, offset=self._offset),
                **fields,
            }
        )
        data = MessageReceived(message=message, sender=an_identity(conversation))
        return self._normalized("message.received", data, origin, event_id)

    def closed(self, conversation: str = "c1", reason: str = "inactivity") -> Record:
        """The normalizer closed a conversation."""
        data = ConversationClosed(
            conversation_id=conversation_id(conversation), at=clock.from_ms(self.now_ms), reason=reason
        )
        return self._normalized("conversation.closed", data)

    def receipt(
        self, status: str, *, native_id: str | None = None, up_to_ms: int | None = None, conversation: str = "c1"
    ) -> Record:
        """The provider reports on one of our messages, by its own id, or on all of them up to a time."""
        data = MessageDelivery(
            conversation_id=conversation_id(conversation),
            delivery=DeliveryState(status=status, at=clock.from_ms(self.now_ms)),
            native_id=native_id,
            up_to=None if up_to_ms is None else clock.from_ms(up_to_ms),
        )
        return self._normalized("message.delivery", data)

    def outcome(
        self, status: str, message_id: str, *, native_ids: Sequence[str] = (), conversation: str = "c1"
    ) -> Record:
        """The channel's sender reports on one of our messages."""
        delivery = DeliveryState(status=status, at=clock.from_ms(self.now_ms), external_ids=tuple(native_ids))
        data = MessageDelivery(conversation_id=conversation_id(conversation), delivery=delivery, message_id=message_id)
        return self.record(self.plan.topics.outcomes, "message.delivery", data, events.SINKS)

    def command(self, data: Model, conversation: str = "c1", *, command_id: str | None = None) -> Record:
        """A command, by its data (`Reply`, `Transfer` ...)."""
        verb = type(data).__name__.lower()
        return self.record(
            self.plan.topics.commands,
            f"command.{verb}",
            data,
            events.DOWNSTREAM,
            subject=conversation_id(conversation),
            event_id=command_id,
        )

    def _normalized(self, kind: str, data: Model, origin: str = "live", event_id: str | None = None) -> Record:
        return self.record(self.plan.topics.events, kind, data, events.NORMALIZER, origin=origin, event_id=event_id)

    def record(
        self,
        topic: str,
        kind: str,
        data: Any,
        source: str,
        *,
        subject: str | None = None,
        origin: str = "live",
        event_id: str | None = None,
    ) -> Record:
        """Any event as a record of `topic`, about the conversation its data is about."""
        self._offset += 1
        about = subject or _subject_of(data)
        convseq = self._convseq[about] = self._convseq.get(about, 0) + 1
        event = Event(
            id=event_id or f"evt_made_up_{self._offset}",
            type=f"omnibus.{kind}.v1",
            source=source,
            subject=about,
            time=self.now_ms,
            data=data,
            convseq=convseq if source == events.NORMALIZER else None,
            origin=origin,
        )
        return _as_record(encode(event, topic), self._offset)


def conversation_id(name: str) -> str:
    """The id of the made-up conversation of that name."""
    return f"conv_{name}"


def an_identity(name: str = "c1") -> ChannelIdentity:
    """The handle of the made-up contact of a conversation."""
    address = f"ana.{name}@example.com"
    return ChannelIdentity(
        id=ids.identity_id(CHANNEL, ACCOUNT, "email", address),
        channel=CHANNEL,
        scheme="email",
        value=address,
        normalized=address,
        channel_account_id=ACCOUNT,
        display_name="Ana",
    )


def a_conversation(name: str = "c1", **fields: Any) -> Conversation:
    """A made-up conversation, as the normalizer opens one."""
    identity = an_identity(name)
    return Conversation(
        **{
            "id": conversation_id(name),
            "channel": CHANNEL,
            "channel_account_id": ACCOUNT,
            "thread_key": f"thread-{name}",
            "contact_id": ids.contact_id(identity.id),
            "status": "new",
            "participants": (identity,),
            **fields,
        }
    )


def a_reply(text: str, *, agent: str | None = "agent-7", bot: str | None = None) -> Reply:
    """A reply by an agent, or by the automation named `bot`."""
    author = Author(type="agent", id=agent) if bot is None else Author(type="bot", id=bot)
    return Reply(content=Text(text=text), author=author)


def _subject_of(data: Any) -> str:
    for part in (data, getattr(data, "message", None), getattr(data, "conversation", None)):
        found = getattr(part, "conversation_id", None)
        if isinstance(found, str):
            return found
    return str(data.conversation.id)


def _as_record(out: Out, offset: int = 0) -> Record:
    return Record(out.topic, out.partition or 0, offset, out.ts_ms or 0, out.key, out.value, out.headers)
