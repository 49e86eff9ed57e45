"""Looking into an installation's bus without taking part in it."""

from __future__ import annotations

import asyncio
import base64
import heapq
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import orjson

from omnibus import clock
from omnibus.blobs import open_blobs
from omnibus.bus.open import open_bus
from omnibus.bus.port import Bus, Record
from omnibus.bus.topics import Topics
from omnibus.cli.console import quiet_logs
from omnibus.config.errors import near
from omnibus.config.model import Config
from omnibus.errors import InvalidPayload, Misconfigured
from omnibus.model import codec
from omnibus.model.content import text_of
from omnibus.model.raw import RAW_TYPE, decode_raw

T = TypeVar("T")
READ = 500
NOTHING = (
    "nothing has run with data in {folder}; start with `omnibus up`, or name the configuration that is running with -c"
)


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[tuple[Bus, Topics]]:
    """The configured bus, open; topics are neither made nor checked. Raises Misconfigured when nothing is there."""
    topics = Topics(config.prefix)
    if not is_there(config.bus):
        raise Misconfigured("bus", NOTHING.format(folder=_folder(config.bus).resolve()))
    bus = open_bus(config.bus, topics, open_blobs(config.blobs), config.kafka)
    await bus.open()
    try:
        yield bus, topics
    finally:
        await bus.close()


def with_bus(config: Config, work: Callable[[Bus, Topics], Awaitable[T]]) -> T:
    """Run `work` with the configured bus."""
    quiet_logs()

    async def run() -> T:
        async with opened(config) as (bus, topics):
            return await work(bus, topics)

    return asyncio.run(run())


def is_there(bus: str) -> bool:
    """Whether the bus at this address has ever run: opening an embedded one would make it."""
    if not bus.startswith("embedded:"):
        return True
    from omnibus.bus.embedded.schema import FILE

    return (_folder(bus) / FILE).exists()


def _folder(bus: str) -> Path:
    return Path(bus.removeprefix("embedded:")).expanduser()


async def existing(bus: Bus, topics: Topics, topic: str) -> str:
    """`topic`, or with the installation's prefix put before it. Raises Misconfigured with what was probably meant."""
    names = {spec.name for spec in await bus.topics()}
    for name in (topic, f"{topics.prefix}.{topic}"):
        if name in names:
            return name
    short = {name.removeprefix(f"{topics.prefix}."): name for name in names}
    hint = near(topic.removeprefix(f"{topics.prefix}."), short) if names else "none yet; `omnibus up` makes them"
    raise Misconfigured("topic", f"no topic {topic!r} ({hint}); `omnibus topics` lists them")


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


async def in_time(bus: Bus, topic: str) -> AsyncIterator[Record]:
    """Everything a topic holds now, the oldest first: partitions side by side, each in its own order."""
    bounds = await bus.bounds(topic)
    ahead = [_Ahead(bus, topic, partition, first, end) for partition, (first, end) in sorted(bounds.items())]
    waiting = [(record.ts_ms, index, record) for index, one in enumerate(ahead) if (record := await one.next())]
    heapq.heapify(waiting)
    while waiting:
        _, index, record = waiting[0]
        yield record
        following = await ahead[index].next()
        if following is None:
            heapq.heappop(waiting)
        else:
            heapq.heapreplace(waiting, (following.ts_ms, index, following))


class _Ahead:
    """One partition, read ahead in batches up to an end."""

    def __init__(self, bus: Bus, topic: str, partition: int, offset: int, end: int) -> None:
        self._bus, self._topic, self._partition, self._offset, self._end = bus, topic, partition, offset, end
        self._batch: deque[Record] = deque()

    async def next(self) -> Record | None:
        if not self._batch and self._offset < self._end:
            self._batch.extend(await self._bus.read(self._topic, self._partition, self._offset, READ))
        if not self._batch or self._batch[0].offset >= self._end:
            return None
        record = self._batch.popleft()
        self._offset = record.offset + 1
        return record


async def size_of(bus: Bus, topic: str) -> int:
    """How many records a topic holds, about: offsets may have gaps."""
    return sum(end - first for first, end in (await bus.bounds(topic)).values())


def time_of(record: Record) -> str:
    """A record's time, RFC 3339 in UTC."""
    return clock.from_ms(record.ts_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def place(record: Record) -> str:
    """A record's place as people type it: ``partition:offset``."""
    return f"{record.partition}:{record.offset}"


def described(record: Record) -> dict[str, Any]:
    """A record for people: when, what, of which conversation, and its words."""
    return {
        "at": time_of(record),
        "place": place(record),
        "type": _short(codec.type_of(record)),
        "key": (record.key or b"").decode("utf-8", "replace").replace("\0", " / "),
        "says": _words(record),
    }


def _short(kind: str | None) -> str:
    return "" if kind is None else kind.removeprefix("omnibus.").removesuffix(".v1")


def _words(record: Record) -> str:
    if (ref := record.header("ce_dataref")) is not None:
        return f"(large: {ref.decode('utf-8', 'replace')})"
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
    """A record for machines: headers as text, JSON values as they are, raw events with their body as text."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "at": time_of(record),
        "key": (record.key or b"").decode("utf-8", "replace"),
        "headers": {name: value.decode("utf-8", "replace") for name, value in record.headers},
        "value": None if record.value is None else _plain(record),
    }


def _plain(record: Record) -> Any:
    value = record.value or b""
    try:
        if codec.type_of(record) == RAW_TYPE and value:
            raw = decode_raw(value)
            return {**msgspec.to_builtins(raw, builtin_types=(bytes,)), "body": _text(raw.body)}
        return orjson.loads(value)
    except (ValueError, InvalidPayload):
        return _text(value)


def _text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
