"""An installation for sink tests: the embedded bus in a temporary folder, configured in YAML as an operator would."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from omnibus.blobs import BlobStore, open_blobs
from omnibus.bus.open import open_bus
from omnibus.bus.port import Bus, Health, Out, Record
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.clock import to_ms
from omnibus.config.load import loads
from omnibus.http import Http
from omnibus.model import codec
from omnibus.model.content import Content, Text
from omnibus.model.entities import Author, ChannelIdentity, Conversation, Message
from omnibus.model.events import NORMALIZER, MessageReceived
from omnibus.runtime import Runtime
from sinks._engine.declaration import SinkTools
from sinks._engine.envelope import Envelope, envelope_of
from sinks._engine.registry import discover
from sinks._engine.service import SinksService

DEADLINE_S = 20.0
T = TypeVar("T")
AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def identity(name: str = "Ana Example") -> ChannelIdentity:
    return ChannelIdentity(
        id="idn_1", channel="fake", scheme="opaque", value="visitor-1", normalized="visitor-1", display_name=name
    )


def message(number: int = 1, conversation: str = "conv_1", content: Content | None = None, **more: Any) -> Message:
    given: dict[str, Any] = {
        "id": f"msg_{conversation}_{number}",
        "conversation_id": conversation,
        "channel": "fake",
        "channel_account_id": "main",
        "direction": "inbound",
        "author": Author(type="contact", display_name="Ana Example"),
        "content": content or Text(text=f"message {number}"),
        "status": "received",
        "created_at": AT,
        "received_at": AT,
    }
    return Message(**{**given, **more})


def conversation(name: str = "conv_1", **more: Any) -> Conversation:
    given: dict[str, Any] = {
        "id": name,
        "channel": "fake",
        "channel_account_id": "main",
        "thread_key": "visitor-1",
        "contact_id": "cnt_1",
        "status": "open",
        "last_inbound_at": AT,
    }
    return Conversation(**{**given, **more})


def event(data: Any, kind: str, *, id: str, subject: str = "conv_1", source: str = NORMALIZER) -> codec.Event:  # noqa: A002 - the attribute's name
    return codec.Event(
        id=id, type=f"omnibus.{kind}.v1", source=source, subject=subject, time=to_ms(AT), convseq=1, data=data
    )


def received(number: int = 1, conversation: str = "conv_1", content: Content | None = None, **more: Any) -> codec.Event:
    data = MessageReceived(message=message(number, conversation, content, **more), sender=identity())
    return event(data, "message.received", id=f"evt_{conversation}_{number}", subject=conversation)


def record(out: Out, offset: int = 0) -> Record:
    """What a reader would see of `out`."""
    return Record(
        topic=out.topic,
        partition=0,
        offset=offset,
        ts_ms=out.ts_ms or 0,
        key=out.key,
        value=out.value,
        headers=out.headers,
    )


def reason_of(health: Mapping[str, Health], name: str) -> str:
    return " ".join(task.reason for task in health[name].tasks if task.reason)


class Installation:
    """A bus with topics, a blob store and an HTTP client; `sinks` starts the service with a configuration."""

    identity = staticmethod(identity)
    message = staticmethod(message)
    conversation = staticmethod(conversation)
    event = staticmethod(event)
    received = staticmethod(received)
    reason_of = staticmethod(reason_of)
    record = staticmethod(record)

    def __init__(self, folder: Path, bus: Bus, blobs: BlobStore, http: Http) -> None:
        self.folder = folder
        self.topics = Topics()
        self.bus = bus
        self.blobs = blobs
        self.http = http
        self.accounts: dict[str, Account] = {}

    def tools(self, settings: Any, name: str = "test") -> SinkTools:
        return SinkTools(name=name, settings=settings, http=self.http, blobs=self.blobs, topics=self.topics)

    def envelope(self, event: codec.Event, topic: str | None = None) -> Envelope:
        opened = envelope_of(record(codec.encode(event, topic or self.topics.events)))
        assert opened is not None
        return opened

    @asynccontextmanager
    async def sinks(self, yaml: str) -> AsyncIterator[SinksService]:
        """The sinks of ``sinks:`` in this YAML, running."""
        service = SinksService(self.runtime(yaml))
        await service.start()
        try:
            yield service
        finally:
            await service.drain(10)

    def runtime(self, yaml: str) -> Runtime:
        config = loads(
            "queues: {general: {}}\n" + textwrap.dedent(yaml),
            settings_of=lambda _section, kind: discover().get(kind).settings,
            known_types=lambda _section: list(discover().plugins),
        )
        return Runtime(
            config=config,
            topics=self.topics,
            bus=self.bus,
            blobs=self.blobs,
            http=self.http,
            accounts=self.accounts,
        )

    async def publish(self, *events: codec.Event, topic: str | None = None) -> None:
        await self.publish_records(*(codec.encode(one, topic or self.topics.events) for one in events))

    async def publish_records(self, *outs: Out) -> None:
        publisher = self.bus.publisher("test")
        await publisher.publish(outs)
        await publisher.close()

    async def records(self, topic: str) -> list[Record]:
        found: list[Record] = []
        for partition, (first, _) in sorted((await self.bus.bounds(topic)).items()):
            found.extend(await self.bus.read(topic, partition, first, 1_000))
        return found

    async def outcomes(self, kind: str, count: int = 1) -> list[codec.Event]:
        """The events of that kind on the outcomes topic, as soon as there are `count` of them."""
        return await self.events_of(self.topics.outcomes, kind, count)

    async def events_of(self, topic: str, kind: str, count: int = 1) -> list[codec.Event]:
        async def found() -> list[codec.Event]:
            events = [codec.decode(record) for record in await self.records(topic)]
            return [one for one in events if one.type == f"omnibus.{kind}.v1"]

        return await self.until(found, lambda events: len(events) >= count)

    async def dead_letters(self, count: int = 1) -> list[Record]:
        return await self.until(lambda: self.records(self.topics.dead_letters), lambda records: len(records) >= count)

    async def caught_up(self, group: str) -> None:
        """Returns when the sink of that name has nothing left to do."""
        await self.until(lambda: self.bus.lag(group), lambda lag: sum(lag.values()) == 0)

    async def until(self, look: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
        """What `look` gives as soon as it is `good`; fails at the deadline with what it gave last."""
        seen: T | None = None
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    seen = await look()
                    if good(seen):
                        return seen
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not within {DEADLINE_S} s; last seen: {seen!r}") from None


@pytest.fixture
async def bus_in() -> Callable[[Path], AbstractAsyncContextManager[Installation]]:
    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[Installation]:
        topics = Topics()
        blobs = open_blobs(f"file:{folder}/blobs")
        bus = open_bus(f"embedded:{folder}/bus", topics, blobs)
        await bus.open()
        try:
            specs = topics.all_specs(partitions=4, channels=["fake"], queues=["general"], automations=[])
            await bus.ensure_topics(specs)
            async with Http() as http:
                yield Installation(folder, bus, blobs, http)
        finally:
            await bus.close()

    return opened


@pytest.fixture
async def installation(
    tmp_path: Path, bus_in: Callable[[Path], AbstractAsyncContextManager[Installation]]
) -> AsyncIterator[Installation]:
    async with bus_in(tmp_path) as opened:
        yield opened


@pytest.fixture
def make() -> type[Installation]:
    """Makers of invented messages and conversations."""
    return Installation
