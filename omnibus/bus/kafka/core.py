"""What the parts of one open bus share, and how topics, groups and transactional ids of an installation are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omnibus.blobs import BlobStore
from omnibus.bus.kafka.admin import Admin
from omnibus.bus.kafka.catalog import Catalog
from omnibus.bus.kafka.limits import Limits
from omnibus.bus.kafka.wire import Wire
from omnibus.bus.port import TopicSpec


@dataclass(frozen=True, kw_only=True)
class Core:
    """The open cluster and its surroundings. `groups` is a client of its own: joining may wait for long."""

    wire: Wire
    groups: Wire
    admin: Admin
    catalog: Catalog
    limits: Limits
    blobs: BlobStore | None
    dead_letters: str
    prefix: str
    application: str
    state_dir: Path

    def group(self, name: str) -> str:
        """The consumer group of a stage or sink."""
        return f"{self.application}.{name}"

    def transactional_id(self, name: str, strand: int) -> str:
        return f"{self.application}.{name}.{strand}"

    def state_topic(self, name: str) -> str:
        """The changelog of a stage or sink."""
        return state_topic(self.application, name)

    def state_file(self, name: str, partition: int) -> Path:
        return self.state_dir / self.application / f"{name}-{partition}.sqlite"

    @property
    def unfinished_copy(self) -> str:
        """The topic that is there while `omnibus bus copy` has not finished."""
        return f"{self.prefix}.copy-unfinished"

    async def co_partitioned(self, name: str, inputs: Sequence[str], outputs: Sequence[str] = ()) -> int:
        """The partition count of a group's inputs, its changelog made. Raises TopicMismatch, PublishRejected."""
        await self.catalog.know([*inputs, *outputs])
        partitions = self.catalog.co_partitioned(name, inputs)
        await self.admin.ensure([state_spec(self.application, name, partitions)])
        return partitions


def state_topic(application: str, name: str) -> str:
    return f"{application}.state.{name}.v1"


def state_spec(application: str, name: str, partitions: int) -> TopicSpec:
    """What the changelog of a stage or sink must be: as many partitions as the inputs, latest of each key."""
    return TopicSpec(name=state_topic(application, name), partitions=partitions, kind="table", max_bytes=4_000_000)
