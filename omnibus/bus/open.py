"""Opens the bus that the configuration names."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

from omnibus.blobs import BlobStore
from omnibus.bus.port import Bus
from omnibus.bus.topics import Topics
from omnibus.errors import Misconfigured

if TYPE_CHECKING:
    from omnibus.config.model import KafkaSettings


def open_bus(
    url: str,
    topics: Topics,
    blobs: BlobStore | None = None,
    kafka: KafkaSettings | None = None,
    *,
    skip_lost: bool = False,
) -> Bus:
    """The bus at `url`: ``embedded:./folder`` or ``kafka://host:port[,host:port]``; not opened yet.

    `kafka` is the configuration's section of that name; without it there is neither encryption nor login.
    With `skip_lost`, records that retention took before a stage read them are passed instead of stopping it.
    Raises Misconfigured for any other address, and when the Kafka extra is not installed.
    """
    scheme, separator, rest = url.partition(":")
    if scheme == "embedded" and separator and rest:
        from omnibus.bus.embedded import EmbeddedBus, Limits  # imported here: a Kafka installation never loads it

        limits = Limits(skip_lost=skip_lost)
        return EmbeddedBus(Path(rest).expanduser(), dead_letters=topics.dead_letters, blobs=blobs, limits=limits)
    if scheme == "kafka" and rest.startswith("//"):
        return _open_kafka(rest.removeprefix("//").rstrip("/"), topics, blobs, kafka, skip_lost=skip_lost)
    raise Misconfigured("bus", f"expected embedded:./folder or kafka://host:port, got {url!r}")


def _open_kafka(
    servers: str, topics: Topics, blobs: BlobStore | None, kafka: KafkaSettings | None, *, skip_lost: bool
) -> Bus:
    addresses = servers.split(",")
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise Misconfigured("bus", f"expected kafka://host:port[,host:port], got {address!r}")
    try:
        module = importlib.import_module("omnibus.bus.kafka.settings")
    except ImportError as error:
        raise Misconfigured("bus", f"Kafka needs the extra: pip install 'omnibus[kafka]' ({error})") from error
    return cast(Bus, module.configured(addresses, topics, blobs, kafka, skip_lost=skip_lost))
