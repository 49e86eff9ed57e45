"""Topics as they are and as they should be: create, compare, change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiokafka.protocol.admin import (
    AlterConfigsRequest,
    CreateTopicsRequest,
    DeleteRecordsRequest,
    DeleteTopicsRequest,
    DescribeConfigsRequest,
)

from omnibus.bus.kafka.codes import TOPIC_EXISTS, UNKNOWN_TOPIC, BrokerRefused, check
from omnibus.bus.kafka.limits import Limits
from omnibus.bus.kafka.wire import Tp, Wire, by_topic
from omnibus.bus.port import TopicSpec
from omnibus.errors import TopicMismatch

DAY_MS = 86_400_000
FRAME_BYTES = 262_144
"""Room for headers and framing, on top of the key and value that a topic's `max_bytes` allows."""
TOMBSTONES_MS = 7 * DAY_MS
_TOPIC = 2
_SETTING_OF_TOPIC = 1  # the source of a value in DescribeConfigs: set on the topic itself
_FIRST_VERSION_WITH_SOURCES = 1
_VISIBLE_S = 30.0
_LANE = "admin"


class Found(msgspec.Struct, frozen=True):
    """A topic of the cluster: what it is in our words, its replicas, and its settings in Kafka's."""

    spec: TopicSpec
    replicas: int
    configs: Mapping[str, str]
    own: Mapping[str, str]
    """Those that were set on the topic, not inherited."""


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as it should be. What is not `mendable` needs another topic."""

    topic: str
    what: str
    found: str
    wanted: str
    mendable: bool

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.found}, the configuration needs {self.wanted}"


class Admin:
    """Reads and changes topics over one connection."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self._wire = wire
        self._limits = limits

    async def topics(self, names: Sequence[str] | None = None) -> list[Found]:
        """The topics there are, or those of `names` that are there, in name order."""
        await self._wire.refresh()
        there = sorted(self._wire.topics() if names is None else self._wire.topics() & set(names))
        if not there:
            return []
        configs = await self._configs(there)
        return [self._found(name, *configs[name]) for name in there if name in configs]

    async def _configs(self, names: list[str]) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
        request = DescribeConfigsRequest([(_TOPIC, name, None) for name in names])
        answer = await self._wire.ask_any(request, _LANE)
        found: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        for code, _, _, name, entries in answer.resources:
            if code == 0:
                everything = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
                found[name] = everything, {e[0]: e[1] for e in entries if e[3] == _SETTING_OF_TOPIC and e[1]}
        return found

    def _found(self, name: str, configs: dict[str, str], own: dict[str, str]) -> Found:
        retention = int(configs.get("retention.ms", "-1"))
        kind = "table" if configs.get("cleanup.policy") == "compact" else "stream"
        spec = TopicSpec(
            name=name,
            partitions=self._wire.partitions(name),
            kind=kind,  # type: ignore[arg-type]  # one of the two
            retention_ms=None if retention < 0 or kind == "table" else retention,
            max_bytes=max(1, int(configs.get("max.message.bytes", "0")) - FRAME_BYTES),
        )
        return Found(spec, self._wire.replicas(name), configs, own)

    # --- as they should be ----------------------------------------------------------------------

    def replicas(self) -> int:
        """How many copies a new topic gets: as configured, but no more than there are brokers."""
        return min(self._limits.replication, len(self._wire.brokers()))

    def wanted_configs(self, spec: TopicSpec, replicas: int) -> dict[str, str]:
        """The settings of a topic, each one set on the topic itself.

        `min.insync.replicas` too: clusters from Kafka 4.1 on ignore the brokers' own value
        (https://kafka.apache.org/documentation/#eligible_leader_replicas).
        """
        configs = {
            "min.insync.replicas": str(min(2, max(1, replicas - 1))),
            "max.message.bytes": str(spec.max_bytes + FRAME_BYTES),
            "compression.type": "producer",
            "message.timestamp.type": "CreateTime",
        }
        if spec.kind == "table":
            return configs | {
                "cleanup.policy": "compact",
                "delete.retention.ms": str(TOMBSTONES_MS),
                "segment.ms": str(DAY_MS // 24),
                "segment.bytes": str(64 * 1024 * 1024),
                "min.cleanable.dirty.ratio": "0.2",
                "max.compaction.lag.ms": str(DAY_MS),
            }
        return configs | {
            "cleanup.policy": "delete",
            "retention.ms": str(-1 if spec.retention_ms is None else spec.retention_ms),
        }

    def differences(self, spec: TopicSpec, found: Found) -> list[Difference]:
        """What of an existing topic is not as `spec` needs it."""
        seen: list[Difference] = []
        if found.spec.partitions != spec.partitions:
            seen.append(
                Difference(spec.name, "partitions", str(found.spec.partitions), str(spec.partitions), mendable=False)
            )
        wanted = self.wanted_configs(spec, found.replicas)
        for name, value in wanted.items():
            have = found.configs.get(name, "")
            if have != value:
                seen.append(Difference(spec.name, name, have, value, mendable=name != "cleanup.policy"))
        return seen

    # --- changing -------------------------------------------------------------------------------

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        """Make topics and wait until they can be written; one made by somebody else meanwhile is fine."""
        replicas = self.replicas()
        request = CreateTopicsRequest(
            [
                (spec.name, spec.partitions, replicas, [], list(self.wanted_configs(spec, replicas).items()))
                for spec in specs
            ],
            int(self._limits.request_timeout_s * 1000),
            False,
        )
        answer = await self._wire.ask_any(request, _LANE)
        for name, code, why in answer.topic_errors:
            if code not in (0, TOPIC_EXISTS):
                raise TopicMismatch(f"{name} cannot be made: {BrokerRefused('creating it', code)} {why or ''}".rstrip())
        await self._until_visible(specs)

    async def _until_visible(self, specs: Sequence[TopicSpec]) -> None:
        ends = time.monotonic() + _VISIBLE_S
        while True:
            await self._wire.refresh()
            if all(self._ready(spec.name) for spec in specs):
                return
            if time.monotonic() > ends:
                raise TopicMismatch(f"{specs[0].name} and others were made, but have no leader after {_VISIBLE_S:g} s")
            await asyncio.sleep(0.02)

    def _ready(self, name: str) -> bool:
        count = self._wire.partitions(name)
        return count > 0 and all(self._wire.leader((name, partition)) is not None for partition in range(count))

    async def mend(self, spec: TopicSpec, found: Found) -> None:
        """Set what can be set, and wait until it is told; settings that somebody else put on the topic stay."""
        configs = {**found.own, **self.wanted_configs(spec, found.replicas)}
        request: Any = AlterConfigsRequest([(_TOPIC, spec.name, list(configs.items()))])
        answer = await self._wire.ask_any(request, _LANE)
        for code, why, _, name in answer.resources:
            check(f"setting {name} ({why})", code)
        # The controller has it before the broker that is asked next.
        async with asyncio.timeout(_VISIBLE_S):
            while True:
                told, _ = (await self._configs([spec.name]))[spec.name]
                if configs.items() <= told.items():
                    return
                await asyncio.sleep(0.02)

    async def delete(self, names: Sequence[str]) -> None:
        """Delete topics with everything in them, and wait until nobody is told of them any more."""
        if names:
            request = DeleteTopicsRequest(list(names), int(self._limits.request_timeout_s * 1000))
            answer = await self._wire.ask_any(request, _LANE)
            for name, code in answer.topic_error_codes:
                check(f"deleting {name}", code if code != UNKNOWN_TOPIC else 0)
            async with asyncio.timeout(_VISIBLE_S):
                while self._wire.topics() & set(names):
                    await self._wire.refresh()

    async def delete_records(self, below: Mapping[Tp, int]) -> None:
        """Let the log of each partition begin at that offset."""
        for node, tps in (await self._wire.leaders(below)).items():
            topics = [(topic, [(part, below[topic, part]) for part in parts]) for topic, parts in by_topic(tps)]
            request = DeleteRecordsRequest(topics, int(self._limits.request_timeout_s * 1000))
            answer = await self._wire.call(node, request, _LANE)
            for name, partitions, *_ in answer.topics:
                for _, _, code, *_ in partitions:
                    check(f"deleting records of {name}", code)

    async def ensure(self, specs: Sequence[TopicSpec]) -> None:
        """Make what is missing and follow changed retention and size.

        Raises TopicMismatch, before anything is changed, for other partitions, another kind, or fewer in-sync replicas
        than a write must reach.
        """
        there = {found.spec.name: found for found in await self.topics([spec.name for spec in specs])}
        changed: list[tuple[TopicSpec, Found]] = []
        for spec in specs:
            found = there.get(spec.name)
            if found is None:
                continue
            differences = self.differences(spec, found)
            _refuse(differences, found)
            if {difference.what for difference in differences} & {"retention.ms", "max.message.bytes"}:
                changed.append((spec, found))
        missing = [spec for spec in specs if spec.name not in there]
        if missing:
            await self.create(missing)
        for spec, found in changed:
            await self.mend(spec, found)


def _refuse(differences: Sequence[Difference], found: Found) -> None:
    """Raise for what a start must not go over."""
    for difference in differences:
        if difference.what == "partitions":
            raise TopicMismatch(
                f"{difference.topic} exists with {difference.found} partitions, "
                f"but the configuration asks for {difference.wanted}; partitions cannot change once there are records"
            )
        if difference.what == "cleanup.policy":
            raise TopicMismatch(
                f"{difference.topic} exists with cleanup.policy={difference.found}, but {difference.wanted} is needed; "
                "it would lose records, or keep what must go"
            )
        if difference.what == "min.insync.replicas" and int(difference.found or 0) < int(difference.wanted):
            raise TopicMismatch(
                f"{difference.topic} has {found.replicas} replicas but min.insync.replicas={difference.found}: a write "
                f"could be lost with one broker; `omnibus topics apply` sets it to {difference.wanted}"
            )
