"""A real front door for one channel account on loopback: the real application over a real embedded bus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from omnibus import runtime as runtimes
from omnibus.blobs import open_blobs
from omnibus.bus.open import open_bus
from omnibus.bus.port import Bus, Record
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account, Channel
from omnibus.config.model import Config, Core, HttpSettings
from omnibus.http import Http
from omnibus.model.raw import RawEvent, raw_of
from omnibus.runtime import Runtime, Service


@dataclass(frozen=True, kw_only=True)
class Door:
    """An open front door: its address, and what it has stored."""

    url: str
    runtime: Runtime
    service: Service

    async def records(self, topic: str) -> list[Record]:
        """Every record of a topic, in the order they were stored."""
        return await records_in(self.runtime.bus, topic)

    async def stored(self, channel: str) -> list[RawEvent]:
        """The raw events of a channel, as the normalizer would read them."""
        events = []
        for record in await self.records(self.runtime.topics.raw(channel)):
            reference = record.header("ce_dataref")
            body = record.value or b"" if reference is None else await self.runtime.blobs.get(reference.decode())
            events.append(raw_of(record, body))
        return events


@asynccontextmanager
async def open_door(
    folder: Path, accounts: Mapping[str, Account], http: HttpSettings | None = None
) -> AsyncIterator[Door]:
    """Open the connectors stage with these accounts, its data in `folder`, on a free port of loopback."""
    topics = Topics()
    blobs = open_blobs(f"file:{folder / 'blobs'}")
    bus = open_bus(f"embedded:{folder / 'bus'}", topics, blobs)
    await bus.open()
    try:
        channels = {account.channel.name for account in accounts.values()}
        tables = [topics.channel_table(a.channel.name, table) for a in accounts.values() for table in a.channel.tables]
        specs = topics.all_specs(partitions=2, channels=channels, queues=(), automations=(), channel_tables=tables)
        await bus.ensure_topics(specs)
        async with Http(allow_private=True) as client:
            running = Runtime(
                config=config_of(http or HttpSettings(port=0)),
                topics=topics,
                bus=bus,
                blobs=blobs,
                http=client,
                accounts=accounts,
            )
            service = runtimes.service("connectors")(running)
            await service.start()
            try:
                yield Door(url=f"http://127.0.0.1:{service.port}", runtime=running, service=service)  # type: ignore[attr-defined]  # of this stage's service only
            finally:
                await service.drain(10.0)
    finally:
        await bus.close()


def account_of(channel: Channel, settings: object, name: str = "test", public_url: str = "") -> Account:
    """An account of the channel with these settings."""
    return Account(name=name, channel=channel, settings=settings, inactivity=channel.inactivity, public_url=public_url)


def config_of(http: HttpSettings) -> Config:
    """A configuration with this front door and nothing else."""
    return Config(core=Core(http=http), channels={}, queues={}, automations={}, sinks={}, sections={}, marks={})


async def records_in(bus: Bus, topic: str) -> list[Record]:
    """Every record of a topic, by time."""
    found: list[Record] = []
    for partition, (first, after) in (await bus.bounds(topic)).items():
        offset = first
        while offset < after:
            records = await bus.read(topic, partition, offset)
            if not records:
                break
            found.extend(records)
            offset = records[-1].offset + 1
    return sorted(found, key=lambda record: (record.ts_ms, record.partition, record.offset))
