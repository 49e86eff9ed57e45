"""Looking into an installation's bus without taking part in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from omnibus import clock
from omnibus.blobs import open_blobs
from omnibus.bus.open import open_bus
from omnibus.bus.port import Bus, Record
from omnibus.bus.topics import Topics
from omnibus.config.model import Config
from omnibus.errors import InvalidPayload, Misconfigured
from omnibus.model import codec
from omnibus.model.content import text_of

T = TypeVar("T")
READ = 500


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[tuple[Bus, Topics]]:
    """The configured bus, open; topics are neither made nor checked."""
    topics = Topics(config.prefix)
    bus = open_bus(config.bus, topics, open_blobs(config.blobs))
    await bus.open()
    try:
        yield bus, topics
    finally:
        await bus.close()


def with_bus(config: Config, work: Callable[[Bus, Topics], Awaitable[T]]) -> T:
    """Run `work` with the configured bus."""

    async def run() -> T:
        async with opened(config) as (bus, topics):
            return await work(bus, topics)

    return asyncio.run(run())


async def existing(bus: Bus, topic: str) -> str:
    """`topic`, or with the installation's prefix put before it. Raises Misconfigured with the topics there are."""
    names = {spec.name for spec in await bus.topics()}
    for name in (topic, f"omnibus.{topic}"):
        if name in names:
            return name
    raise Misconfigured("topic", f"no topic {topic!r}; there are: {', '.join(sorted(names)) or 'none yet'}")


async def records(bus: Bus, topic: str) -> AsyncIterator[Sequence[Record]]:
    """Everything a topic holds now, partition by partition, in batches."""
    for partition, (first, end) in sorted((await bus.bounds(topic)).items()):
        offset = first
        while offset < end:
            batch = await bus.read(topic, partition, offset, READ)
            if not batch:
                break
            yield batch
            offset = batch[-1].offset + 1


def place(record: Record) -> str:
    """A record's place as people type it: ``partition:offset``."""
    return f"{record.partition}:{record.offset}"


def described(record: Record) -> dict[str, Any]:
    """A record for people: when, what, of which conversation, and its words."""
    return {
        "at": clock.from_ms(record.ts_ms).isoformat(timespec="milliseconds"),
        "place": place(record),
        "type": _short(codec.type_of(record)),
        "key": (record.key or b"").decode("utf-8", "replace").replace("\0", " / "),
        "says": _words(record),
    }


def _short(kind: str | None) -> str:
    return "" if kind is None else kind.removeprefix("omnibus.").removesuffix(".v1")


def _words(record: Record) -> str:
    if not codec.is_known(codec.type_of(record)):
        return f"({len(record.value or b'')} bytes)"
    try:
        data = codec.decode(record).data
    except InvalidPayload as error:
        return f"(damaged: {error})"
    content = getattr(getattr(data, "message", data), "content", None)
    words = text_of(content) if content is not None else _facts(data)
    return " ".join(words.split())[:200]


def _facts(data: Any) -> str:
    decision = getattr(data, "decision", None)
    if decision is not None:
        return f"{decision.rule or 'default'} -> {decision.target or decision.outcome}"
    delivery = getattr(data, "delivery", None)
    if delivery is not None:
        return f"{delivery.status}: {delivery.reason.code}" if delivery.reason else str(delivery.status)
    return str(getattr(data, "reason", None) or "")


def full(record: Record) -> dict[str, Any]:
    """A record for machines: headers as text, JSON values as they are."""
    value: Any = None
    if record.value is not None:
        try:
            value = _json(record.value)
        except ValueError:
            value = {"base64": _base64(record.value)}
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "at": clock.from_ms(record.ts_ms).isoformat(timespec="milliseconds"),
        "key": (record.key or b"").decode("utf-8", "replace"),
        "headers": {name: value.decode("utf-8", "replace") for name, value in record.headers},
        "value": value,
    }


def _json(value: bytes) -> Any:
    import orjson

    return orjson.loads(value)


def _base64(value: bytes) -> str:
    import base64

    return base64.b64encode(value).decode()
