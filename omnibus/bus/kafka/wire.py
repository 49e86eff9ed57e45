"""Requests to brokers: who leads, who coordinates, one answer or an error in bounded time.

Only the client library's connections, metadata and message codecs are used. Its producer and its fetcher are not: see
docs/adr/0010-kafka.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaError
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from omnibus.bus.kafka.access import Access
from omnibus.bus.kafka.codes import COORDINATOR_MOVED, PASSING, BrokerRefused, Unanswered, check
from omnibus.bus.kafka.reach import why

T = TypeVar("T")
Tp = tuple[str, int]
"""A topic and a partition number."""

EARLIEST, LATEST = -2, -1
UNCOMMITTED, COMMITTED = 0, 1
_RETRY_S = 0.05
_PATIENCE = 3
_GROUP, _TRANSACTION = 0, 1


class Wire:
    """One client of the cluster. A `lane` names a connection of its own: a broker serves a connection in order."""

    def __init__(self, addresses: Sequence[str], access: Access, request_timeout_s: float, name: str) -> None:
        self._addresses = list(addresses)
        self._access = access
        self._timeout_s = request_timeout_s
        self._name = name
        self._client: Any = None

    async def open(self) -> None:
        """Raises Misconfigured, with what is wrong, when no broker can be reached or the login is refused."""
        self._client = AIOKafkaClient(
            bootstrap_servers=self._addresses,
            client_id=self._name,
            request_timeout_ms=int(self._timeout_s * 1000),
            metadata_max_age_ms=60_000,
            retry_backoff_ms=50,
            **self._access.client_arguments(),
        )
        try:
            await self._client.bootstrap()
        except (KafkaError, ValueError) as error:  # ValueError: a broker that could not prove who it is, with SCRAM
            await self.close()
            raise await why(self._addresses, self._access, self._timeout_s) from error
        if not self.brokers():
            await self.close()
            raise await why(self._addresses, self._access, self._timeout_s)
        await self.refresh()

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def call(self, node: int | str, request: Any, lane: Hashable = 0, timeout_s: float | None = None) -> Any:
        """The answer of a broker. Raises Unanswered when none comes in time; the connection is not used again then."""
        if self._client is None:
            raise Unanswered("the bus is closed")
        try:
            async with asyncio.timeout(self._timeout_s if timeout_s is None else timeout_s):
                return await self._client.send(node, request, group=lane)
        except TimeoutError as error:
            self._drop(node, lane)
            raise Unanswered(f"{type(request).__name__} to broker {node}: no answer in time") from error
        except KafkaError as error:
            raise Unanswered(f"{type(request).__name__} to broker {node}: {error!r}") from error

    def _drop(self, node: int | str, lane: Hashable) -> None:
        connection = None if self._client is None else self._client._conns.get((node, lane))
        if connection is not None:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)

    # --- who is who -----------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read the cluster's topics, leaders and brokers again; what could not be read stays as it was."""
        if self._client is not None:
            await self._client.force_metadata_update()

    def refresh_soon(self) -> None:
        if self._client is not None:
            self._client.force_metadata_update()

    def brokers(self) -> list[int]:
        return [broker.nodeId for broker in self._client.cluster.brokers()]

    def any_broker(self) -> int:
        node = self._client.get_random_node()
        if node is None:
            raise Unanswered("no broker is known")
        return int(node)

    def topics(self) -> set[str]:
        found: set[str] = self._client.cluster.topics(exclude_internal_topics=True)
        return found

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 when it is not known."""
        return 0 if self._client is None else len(self._client.cluster.partitions_for_topic(topic) or ())

    def replicas(self, topic: str) -> int:
        """The fewest copies any partition of a topic has."""
        partitions = self._client.cluster._partitions.get(topic, {})
        return min((len(found.replicas) for found in partitions.values()), default=0)

    def leader(self, tp: Tp) -> int | None:
        if self._client is None:
            return None
        node = self._client.cluster.leader_for_partition(TopicPartition(*tp))
        return None if node is None or node < 0 else int(node)

    async def leaders(self, tps: Iterable[Tp]) -> dict[int, list[Tp]]:
        """The partitions by the broker that leads them. Raises Unanswered when one has no leader now."""
        by_node = self._by_leader(tps)
        if None in by_node:
            await self.refresh()
            by_node = self._by_leader(tps)
        if None in by_node:
            raise Unanswered(f"no leader for {by_node[None][0]}")
        return {node: found for node, found in by_node.items() if node is not None}

    def _by_leader(self, tps: Iterable[Tp]) -> dict[int | None, list[Tp]]:
        by_node: dict[int | None, list[Tp]] = {}
        for tp in tps:
            by_node.setdefault(self.leader(tp), []).append(tp)
        return by_node

    async def group_coordinator(self, group: str) -> int:
        return await self._coordinator(_GROUP, group)

    async def transaction_coordinator(self, transactional_id: str) -> int:
        return await self._coordinator(_TRANSACTION, transactional_id)

    async def _coordinator(self, kind: int, key: str) -> int:
        """Asks until there is one (the first use of a cluster makes the topic behind it); the caller bounds it."""
        while True:
            try:
                answer = await self.call(self.any_broker(), FindCoordinatorRequest(key, kind))
                check(f"finding the coordinator of {key}", answer.error_code)
            except Unanswered:
                await self.refresh()
            except BrokerRefused as error:
                if error.code not in COORDINATOR_MOVED:
                    raise
            else:
                return int(answer.coordinator_id)
            await asyncio.sleep(_RETRY_S)

    # --- offsets --------------------------------------------------------------------------------

    async def patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again while the answer is a passing fault: a broker may be gone, and its work with another in seconds."""
        ends = time.monotonic() + _PATIENCE * self._timeout_s
        while True:
            try:
                return await ask()
            except BrokerRefused as error:
                if error.code not in PASSING | COORDINATOR_MOVED or time.monotonic() > ends:
                    raise
            except Unanswered:
                if time.monotonic() > ends or self._client is None:
                    raise
            await self.refresh()
            await asyncio.sleep(_RETRY_S)

    async def ask_any(self, request: Any, lane: Hashable = 0) -> Any:
        """The answer of any broker to a request that may be repeated; another is asked when one is gone."""

        async def ask() -> Any:
            return await self.call(self.any_broker(), request, lane)

        return await self.patiently(ask)

    async def offsets(self, tps: Iterable[Tp], at: int, isolation: int = COMMITTED) -> dict[Tp, int]:
        """The earliest or the next offset of each partition; with COMMITTED, the end of what readers may see.

        `at` may also be a time in milliseconds: the first record of that time or later, -1 when there is none.
        """
        wanted = list(tps)

        async def ask() -> dict[Tp, int]:
            by_node = await self.leaders(wanted)
            found = await asyncio.gather(
                *(self._offsets_of(node, part, at, isolation) for node, part in by_node.items())
            )
            return {tp: offset for part in found for tp, offset in part.items()}

        return await self.patiently(ask)

    async def _offsets_of(self, node: int, tps: list[Tp], at: int, isolation: int) -> dict[Tp, int]:
        topics = [(topic, [(part, at) for part in parts]) for topic, parts in by_topic(tps)]
        answer = await self.call(node, OffsetRequest(-1, isolation, topics), lane="offsets")
        found: dict[Tp, int] = {}
        for topic, partitions in answer.topics:
            for partition, code, _, offset in partitions:
                check(f"the offsets of {topic}[{partition}]", code)
                found[(topic, partition)] = offset
        return found


def by_topic(tps: Iterable[Tp]) -> list[tuple[str, list[int]]]:
    """Partitions grouped as requests want them."""
    grouped: dict[str, list[int]] = {}
    for topic, partition in tps:
        grouped.setdefault(topic, []).append(partition)
    return list(grouped.items())
