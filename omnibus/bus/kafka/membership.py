"""Membership in a consumer group: which partitions this process owns, told in time, while it works.

The classic group protocol (https://kafka.apache.org/protocol#The_Messages_JoinGroup). Heartbeats run all the time,
whatever the runner does. Work goes on through a rebalance: ownership is only a hint, the transactions' fence decides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from omnibus.bus.kafka import codes
from omnibus.bus.kafka.assignor import assign
from omnibus.bus.kafka.codes import BrokerRefused, Unanswered, check
from omnibus.bus.kafka.limits import Limits
from omnibus.bus.kafka.strand import Strands
from omnibus.bus.kafka.wire import Tp, Wire

log = structlog.get_logger(__name__)
_RETRY_S = 0.1
_SLACK_S = 10.0
_UNKNOWN = -1
_LEAVE_S = 1.0
_encode_owned = msgspec.msgpack.Encoder().encode
_decode_owned = msgspec.msgpack.Decoder(list[int]).decode


class Membership:
    """One member. `assigned` is called with all partitions owned after each rebalance; `revoking` before it is joined.

    Whole strands are given out: their partitions have one owner.
    """

    def __init__(
        self,
        wire: Wire,
        group: str,
        inputs: Sequence[str],
        strands: Strands,
        limits: Limits,
        *,
        assigned: Callable[[set[int]], None],
        revoking: Callable[[], Awaitable[None]],
    ) -> None:
        self.group = group
        self._wire = wire
        self._inputs = tuple(inputs)
        self._strands = strands
        # Members that group the partitions differently would not fence each other: the group does not take both.
        self._protocol = f"omnibus-sticky-{strands.count}"
        self._limits = limits
        self._assigned = assigned
        self._revoking = revoking
        self._lane = ("group", group)
        self._member = ""
        self._generation = -1
        self._coordinator: int = _UNKNOWN
        self._owned: set[int] = set()
        self._beat_now = asyncio.Event()

    @property
    def joined(self) -> bool:
        return self._generation >= 0

    def look(self) -> None:
        """Ask the coordinator now whether this member still is one (a fence says it may not be)."""
        self._beat_now.set()

    async def run(self) -> None:
        """Join and stay joined, until cancelled."""
        while True:
            try:
                await self._join()
                await self._stay()
            except (Unanswered, BrokerRefused) as error:
                if isinstance(error, BrokerRefused) and error.code in (codes.UNKNOWN_MEMBER, codes.ILLEGAL_GENERATION):
                    self._forget()
                elif not isinstance(error, BrokerRefused) or error.code in codes.COORDINATOR_MOVED:
                    self._coordinator = _UNKNOWN
                elif error.code != codes.REBALANCING:
                    log.warning("group_failed", group=self.group, reason=str(error))
                await asyncio.sleep(_RETRY_S)

    def _forget(self) -> None:
        """The group goes on without this member: what it owned has other owners."""
        self._member, self._generation = "", -1
        self._owned = set()
        self._assigned(set())

    # --- joining --------------------------------------------------------------------------------

    async def _join(self) -> None:
        if self._coordinator == _UNKNOWN:
            self._coordinator = await self._wire.group_coordinator(self.group)
        answer = await self._joined_answer()
        while answer.error_code == codes.MEMBER_ID_REQUIRED:
            self._member = answer.member_id
            answer = await self._joined_answer()
        check(f"joining {self.group}", answer.error_code)
        self._member, self._generation = answer.member_id, answer.generation_id
        leads = answer.leader_id == self._member
        shares = self._shares(answer.members) if leads else []
        sync = SyncGroupRequest(self.group, self._generation, self._member, None, shares)
        answer = await self._wire.call(
            self._coordinator, sync, self._lane, self._limits.rebalance_timeout_ms / 1000 + _SLACK_S
        )
        check(f"joining {self.group}", answer.error_code)
        assignment = ConsumerProtocolMemberAssignment.decode(answer.member_assignment)
        self._owned = {self._strands.of(tp.partition) for tp in assignment.partitions()}
        self._assigned(self._partitions_of(self._owned))

    async def _joined_answer(self) -> Any:
        metadata = ConsumerProtocolMemberMetadata(0, list(self._inputs), _encode_owned(sorted(self._owned)))
        request = JoinGroupRequest(
            self.group,
            self._limits.session_timeout_ms,
            self._limits.rebalance_timeout_ms,
            self._member,
            None,
            "consumer",
            [(self._protocol, metadata.encode())],
        )
        patience = self._limits.rebalance_timeout_ms / 1000 + _SLACK_S
        return await self._wire.call(self._coordinator, request, self._lane, patience)

    def _shares(self, members: Sequence[tuple[str, str | None, bytes]]) -> list[tuple[str, bytes]]:
        owned = {member[0]: _owned_of(member[-1]) for member in members}
        shares = {member: self._partitions_of(part) for member, part in assign(self._strands.count, owned).items()}
        return [
            (member, ConsumerProtocolMemberAssignment(0, [(t, sorted(parts)) for t in self._inputs], b"").encode())
            for member, parts in shares.items()
        ]

    def _partitions_of(self, strands: Iterable[int]) -> set[int]:
        return {partition for strand in strands for partition in self._strands.members(strand)}

    # --- staying --------------------------------------------------------------------------------

    async def _stay(self) -> None:
        """Heartbeats until the group rebalances; the runner may settle first, with heartbeats going on."""
        settling: asyncio.Task[None] | None = None
        heard = time.monotonic()
        try:
            while settling is None or not settling.done():
                await self._pause(settling)
                if settling is not None and settling.done():
                    break
                request = HeartbeatRequest(self.group, self._generation, self._member)
                try:
                    answer = await self._wire.call(self._coordinator, request, self._lane, 5.0)
                except Unanswered:
                    if time.monotonic() - heard > self._limits.session_timeout_ms / 1000:
                        self._forget()
                    raise
                heard = time.monotonic()
                if answer.error_code == codes.REBALANCING:
                    settling = settling or asyncio.create_task(self._settle(), name=f"{self.group}: settle")
                else:
                    check(f"heartbeat in {self.group}", answer.error_code)
        finally:
            if settling is not None:
                settling.cancel()

    async def _settle(self) -> None:
        await self._revoking()
        self._beat_now.set()

    async def _pause(self, settling: asyncio.Task[None] | None) -> None:
        try:
            async with asyncio.timeout(self._limits.heartbeat_ms / 1000):
                await self._beat_now.wait()
        except TimeoutError:
            pass
        self._beat_now.clear()

    async def leave(self) -> None:
        """Tell the group, so that the others take over at once instead of after the session time-out."""
        if not self._member or self._coordinator == _UNKNOWN:
            return
        try:
            request = LeaveGroupRequest(self.group, self._member)
            await self._wire.call(self._coordinator, request, self._lane, _LEAVE_S)
        except Unanswered:
            pass  # the session time-out says it
        self._member, self._generation = "", -1

    # --- offsets --------------------------------------------------------------------------------

    async def report(self, positions: Mapping[Tp, int]) -> bool:
        """Set the group's offsets, which only show how far it is. False when it has to be done again later."""
        if not self.joined or self._coordinator == _UNKNOWN:
            return False
        topics: dict[str, list[tuple[int, int, str]]] = {}
        for (topic, partition), offset in positions.items():
            topics.setdefault(topic, []).append((partition, offset, ""))
        request = OffsetCommitRequest(self.group, self._generation, self._member, -1, list(topics.items()))
        try:
            answer = await self._wire.call(self._coordinator, request, ("report", self.group), 5.0)
        except Unanswered:
            return False
        return not any(code for _, partitions in answer.topics for _, code in partitions)


def _owned_of(metadata: bytes) -> list[int]:
    try:
        return _decode_owned(ConsumerProtocolMemberMetadata.decode(metadata).user_data or b"\x90")
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError):
        return []  # another version's member: it keeps nothing, and gets its share
