"""What became of a play, read from the topics: every mark is looked for at every stage."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from omnibus.bus.port import Bus, Record
from omnibus.bus.topics import Topics
from omnibus.cli.demo.script import Expected
from omnibus.errors import InvalidPayload
from omnibus.model import codec
from omnibus.model.content import text_of
from omnibus.model.entities import Message


class Ledger:
    """Follows the topics from the end of now on. Marks are ``<run>-0042``; what does not carry one is not ours."""

    def __init__(self, bus: Bus, topics: Topics, run: str) -> None:
        self._bus = bus
        self._topics = topics
        self._run = run.encode()
        self._mark = re.compile(rf"{re.escape(run)}-\d{{4}}")
        self.accepted_at: dict[str, float] = {}
        self.queued_after: dict[str, float] = {}
        self.raw = 0
        self.dead: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self.edited: Counter[str] = Counter()
        self.media: Counter[str] = Counter()
        self.conversations: set[str] = set()
        self.routed: Counter[str] = Counter()
        self.queued_records: Counter[str] = Counter()
        self.waiting: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.deliveries: dict[str, str] = {}
        self.changed = asyncio.Event()
        self.last_at = time.monotonic()
        """When anything has come the last time."""

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow every topic that matters while the block runs."""
        there = {spec.name for spec in await self._bus.topics()}
        raw = [name for name in there if name.startswith(self._topics.raw("")) and name != self._topics.control]
        owners = [name for name in there if name.startswith((self._topics.queue(""), self._topics.automation("")))]
        fixed = [self._topics.events, self._topics.dead_letters, self._topics.outcomes]
        followers = [asyncio.create_task(self._follow(name)) for name in [*raw, *owners, *fixed]]
        try:
            yield
        finally:
            for follower in followers:
                follower.cancel()
            await asyncio.gather(*followers, return_exceptions=True)

    async def _follow(self, topic: str) -> None:
        start = {partition: end for partition, (_, end) in (await self._bus.bounds(topic)).items()}
        async for batch in self._bus.follow(topic, start):
            for record in batch:
                self._take(topic, record)
            self.last_at = time.monotonic()
            self.changed.set()

    def _take(self, topic: str, record: Record) -> None:
        if topic.startswith(self._topics.raw("")):
            self.raw += self._run in (record.value or b"")
        elif topic == self._topics.dead_letters:
            if self._run in (record.value or b""):
                self.dead[(record.header("dead_stage") or b"?").decode()] += 1
        elif topic == self._topics.events:
            self._event(record)
        elif topic == self._topics.outcomes:
            self._outcome(record)
        else:
            self._queued(topic, record)

    def _event(self, record: Record) -> None:
        kind = codec.type_of(record)
        if kind == "omnibus.message.received.v1":
            event = codec.decode(record)
            for mark in self._marks(event.data.message):
                self.received[mark] += 1
                self.conversations.add(event.subject)
        elif kind == "omnibus.message.edited.v1":
            event = codec.decode(record)
            for mark in self._mark.findall(text_of(event.data.content)):
                self.edited[mark] += 1
        elif kind == "omnibus.message.attachment.v1":
            attachment = codec.decode(record).data.attachment
            self.media[attachment.state] += 1

    def _queued(self, topic: str, record: Record) -> None:
        subject = (record.header("ce_subject") or b"").decode()
        kind = codec.type_of(record)
        if kind == "omnibus.conversation.assigned.v1":
            data = codec.decode(record).data
            marks = [mark for message in data.recent for mark in self._marks(message)]
            if marks:
                self.routed[topic] += 1
                self.waiting.put_nowait((subject, marks[0]))
        elif kind == "omnibus.message.received.v1":
            marks = self._marks(codec.decode(record).data.message)
        else:
            return
        for mark in marks:
            self.queued_records[mark] += 1
            if mark in self.accepted_at and mark not in self.queued_after:
                self.queued_after[mark] = time.perf_counter() - self.accepted_at[mark]

    def _outcome(self, record: Record) -> None:
        if codec.type_of(record) != "omnibus.message.delivery.v1":
            return
        try:
            data = codec.decode(record).data
        except InvalidPayload:
            return
        if data.conversation_id in self.conversations and data.message_id is not None:
            reason = data.delivery.reason
            self.deliveries[data.message_id] = f"failed {reason.code}" if reason else data.delivery.status

    def _marks(self, message: Message) -> list[str]:
        if message.direction != "inbound":
            return []
        return self._mark.findall(text_of(message.content))[:1]

    def missing(self, expected: Expected) -> list[str]:
        """What has not come yet, in sentences; empty when everything is there."""
        found = [
            *_lacking("message", expected.received, self.received),
            *_lacking("edit", expected.edited, self.edited),
            *_lacking("message in a queue", expected.received, self.queued_records),
        ]
        if self.raw < expected.raw:
            found.append(f"{expected.raw - self.raw} of {expected.raw} accepted requests are not in the raw log")
        if self.dead.total() < expected.dead:
            found.append(f"{expected.dead - self.dead.total()} of {expected.dead} broken requests have no dead letter")
        return found

    def surplus(self, expected: Expected) -> list[str]:
        """What should not be there, in sentences."""
        found = [f"message {mark} came out {count} times" for mark, count in self.received.items() if count > 1]
        found += [f"edit {mark} came out {count} times" for mark, count in self.edited.items() if count > 1]
        if self.raw > expected.raw:
            found.append(f"{self.raw - expected.raw} raw events more than were accepted")
        if self.dead.total() > expected.dead:
            found.append(f"{self.dead.total() - expected.dead} dead letters more than broken requests")
        if len(self.conversations) > expected.conversations:
            found.append(f"{len(self.conversations)} conversations of {expected.conversations}: some were split")
        return found


def _lacking(what: str, wanted: frozenset[str], found: Mapping[str, int]) -> list[str]:
    lacking = sorted(mark for mark in wanted if not found.get(mark))
    if not lacking:
        return []
    return [f"{len(lacking)} of {len(wanted)}: no {what} for #{', #'.join(lacking[:5])}{' ...' if lacking[5:] else ''}"]
