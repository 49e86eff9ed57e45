"""Puts an installation's parts together: the bus with its topics, blobs, outbound HTTP, accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from omnibus.blobs import open_blobs
from omnibus.bus.open import open_bus
from omnibus.bus.port import TopicSpec
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.registry import find
from omnibus.config.model import Config
from omnibus.runtime import Runtime


def topic_specs(config: Config) -> list[TopicSpec]:
    """Every topic this configuration needs."""
    topics = Topics(config.prefix)
    channels = {account.type for account in config.channels.values()}
    tables = [topics.channel_table(name, table) for name in channels for table in find(name).tables]
    return topics.all_specs(
        partitions=config.partitions,
        channels=channels,
        queues=config.queues,
        automations=config.automations,
        channel_tables=tables,
    )


def accounts_of(config: Config) -> Mapping[str, Account]:
    """The configured channel accounts with their channels' declarations."""
    public_url = (config.http.public_url or f"http://{config.http.host}:{config.http.port}").rstrip("/")
    return {
        name: Account(
            name=name,
            channel=(channel := find(entry.type)),
            settings=entry.settings,
            inactivity=getattr(entry.settings, "inactivity", None) or channel.inactivity,
            public_url=public_url,
        )
        for name, entry in config.channels.items()
    }


@asynccontextmanager
async def open_runtime(config: Config) -> AsyncIterator[Runtime]:
    """Opens everything, makes missing topics, and closes everything again."""
    from omnibus.http import Http  # imported here: commands that only look start twice as fast without a client

    topics = Topics(config.prefix)
    blobs = open_blobs(config.blobs)
    bus = open_bus(config.bus, topics, blobs, config.kafka, skip_lost=config.core.lost_records == "skip")
    async with Http() as http:
        await bus.open()
        try:
            await bus.ensure_topics(topic_specs(config))
            yield Runtime(config=config, topics=topics, bus=bus, blobs=blobs, http=http, accounts=accounts_of(config))
        finally:
            await bus.close(config.drain.total_seconds())
