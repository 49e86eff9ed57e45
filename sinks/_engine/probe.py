"""Whether a sink's destination would take events, for ``omnibus check --live``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from omnibus.blobs import BlobStore
from omnibus.bus.topics import Topics
from omnibus.channel.send import Probing
from omnibus.config.model import SinkConfig
from omnibus.errors import Misconfigured
from omnibus.http import Http
from sinks._engine.declaration import SinkTools
from sinks._engine.registry import discover, load_destination
from sinks.channel_reply.sink import SINK as REPLIES


def probe_of(
    configured: SinkConfig, topics: Topics, http: Http, blobs: BlobStore
) -> Callable[[], Awaitable[str | None]] | None:
    """Asks the destination (`Probing`); None when it knows no probe. What it raises is what `deliver` would."""
    if configured.type == REPLIES.name or not _has_probe(configured.type):
        return None
    tools = SinkTools(name=configured.name, settings=configured.settings, http=http, blobs=blobs, topics=topics)

    async def ask() -> str | None:
        destination = load_destination(discover().get(configured.type))(tools)
        try:
            return await cast(Probing, destination).probe()
        finally:
            await destination.close()

    return ask


def _has_probe(kind: str) -> bool:
    try:
        return hasattr(load_destination(discover().get(kind)), "probe")
    except Misconfigured:
        return True  # asking says why it cannot be imported
