"""Runs an automation over its topic: what it hears, what it commands, and what happens when it fails."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

import msgspec

from omnibus import clock
from omnibus.bus.port import Out, ReadTable, Record, SinkSpec
from omnibus.bus.topics import Topics
from omnibus.errors import Misconfigured
from omnibus.model import events, ids
from omnibus.model.codec import Event, decode, encode, type_of
from omnibus.model.entities import Author, Conversation, Message
from omnibus.model.events import ConversationAssigned, MessageReceived, MessageSent, Transfer
from omnibus.telemetry import facts
from router.automations.contract import Answer, Automation, AutomationPart, AutomationTools, Command, Heard, Told

MAX_KNOWN = 5_000
"""Conversations whose recent messages are kept in memory."""
MAX_RECENT = 20
MAX_COMMANDS = 10


class AutomationFailed(facts.Fact, frozen=True, kw_only=True):
    """An automation gave no usable answer; its queue has the conversation now."""

    level: ClassVar[facts.Level] = "warning"
    automation: str
    error: str


def spec(topics: Topics, name: str) -> SinkSpec:
    """What the bus must know of the worker of an automation."""
    return SinkSpec(name=f"automation.{name}", inputs=(topics.automation(name),))


class AutomationWorker:
    """The SinkHandler of one configured automation.

    Recent messages are those since the conversation was given to it, as far as this process has seen them.
    """

    def __init__(
        self,
        automation: Automation,
        part: AutomationPart,
        tools: AutomationTools,
        topics: Topics,
        conversations: ReadTable,
        timeout: timedelta,
    ) -> None:
        self._automation = automation
        self._part = part
        self._tools = tools
        self._topics = topics
        self._conversations = conversations
        self._timeout = timeout
        self._recent: OrderedDict[str, list[Message]] = OrderedDict()

    async def deliver(self, records: Sequence[Record]) -> Sequence[Out]:
        """Commands in answer to the records. Raises Misconfigured, which pauses the automation."""
        return [out for record in records for out in await self._answer(record)]

    async def close(self) -> None:
        """Close the automation."""
        await self._part.close()

    async def _answer(self, record: Record) -> list[Out]:
        kind = type_of(record)
        if kind not in self._automation.reacts_to and kind != "omnibus.message.sent.v1":
            return []
        event = decode(record)
        recent = self._remembered(event)
        if kind not in self._automation.reacts_to:
            return []
        heard = Heard(
            name=self._tools.name,
            event=event,
            conversation_id=event.subject,
            conversation=self._conversation(event),
            recent=tuple(recent),
        )
        answers = await self._contained(heard)
        return [self._out(event, index, answer) for index, answer in enumerate(answers[:MAX_COMMANDS])]

    async def _contained(self, heard: Heard) -> Sequence[Answer]:
        """The automation's answer; whatever goes wrong in it gives the conversation to its queue."""
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await self._part.answer(heard)
        except Misconfigured:
            raise
        except Exception as error:
            # Not swallowed: it is counted, and the person who wrote gets a person.
            why = type(error).__name__
            facts.emit(AutomationFailed(automation=self._tools.name, error=why))
            return [Transfer(to=f"queue:{self._tools.hand_over_to}", reason=f"{self._tools.name} failed: {why}")]

    def _remembered(self, event: Event) -> list[Message]:
        data = event.data
        if isinstance(data, ConversationAssigned):
            recent = list(data.recent)
        else:
            recent = self._recent.pop(event.subject, [])
            if isinstance(data, MessageReceived | MessageSent):
                recent = [*recent, data.message]
        self._recent[event.subject] = recent[-MAX_RECENT:]
        if len(self._recent) > MAX_KNOWN:
            self._recent.popitem(last=False)
        return self._recent[event.subject]

    def _conversation(self, event: Event) -> Conversation | None:
        if isinstance(event.data, ConversationAssigned):
            return event.data.conversation
        value = self._conversations.get(event.subject.encode())
        return None if value is None else msgspec.json.decode(value, type=Conversation)

    def _out(self, cause: Event, index: int, answer: Answer) -> Out:
        return self._fact(cause, index, answer) if isinstance(answer, Told) else self._command(cause, index, answer)

    def _fact(self, cause: Event, index: int, told: Told) -> Out:
        """A fact for everybody: the router republishes it with the conversation's events."""
        event = Event(
            id=ids.derive("evt", self._tools.name, cause.id, index),
            type=f"omnibus.{told.kind}.v1",
            source=events.SINKS,
            subject=cause.subject,
            time=cause.time,
            data=told.data,
            origin=cause.origin,
            correlationid=cause.correlationid,
            causationid=cause.id,
            traceparent=cause.traceparent,
        )
        return encode(event, self._topics.outcomes)

    def _command(self, cause: Event, index: int, command: Command) -> Out:
        """A command whose id follows from its cause: when the same event is answered again, nothing is done twice."""
        author = Author(type="bot", id=self._tools.name)
        signed = command if isinstance(command, events.Tag) else msgspec.structs.replace(command, author=author)
        event = Event(
            id=ids.derive("cmd", self._tools.name, cause.id, index),
            type=f"omnibus.command.{type(command).__name__.lower()}.v1",
            source=events.DOWNSTREAM,
            subject=cause.subject,
            time=clock.now_ms(),
            data=signed,
            origin=cause.origin,
            correlationid=cause.correlationid,
            causationid=cause.id,
            traceparent=cause.traceparent,
        )
        return encode(event, self._topics.commands)
