"""A task's state and position in the log itself: what is written with every commit, and how it is read back.

One compacted topic for each stage or sink, partition p for task p. Keys are the state's own (their first byte is never
zero); the position is the record of the key `POSITION`, the last of every commit.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping

import msgspec

from omnibus import clock
from omnibus.bus.kafka.admin import TOMBSTONES_MS
from omnibus.bus.kafka.batches import Row
from omnibus.bus.kafka.fetch import fetch_once
from omnibus.bus.kafka.limits import Limits
from omnibus.bus.kafka.wire import COMMITTED, EARLIEST, LATEST, UNCOMMITTED, Tp, Wire
from omnibus.errors import Misconfigured, OutOfRange
from omnibus.stage.store.local import LocalStore

POSITION = b"\x00position"
SCHEMA = 1
"""Of the state's own layout. A newer one is refused: an older program would misread it."""

_DAY_MS = 86_400_000
_CHUNK = 4 * 1024 * 1024
_ROWS_AT_ONCE = 20_000


class Place(msgspec.Struct, frozen=True, array_like=True):
    """How far a task is in one input: everything below `offset` is done, and so are the offsets in `acked`."""

    offset: int
    acked: tuple[int, ...] = ()


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The record of a commit. `incarnation` tells this changelog from one made anew under the same name."""

    incarnation: str
    schema: int
    partitions: int
    places: dict[str, Place]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Position).decode


class Changelog:
    """The changelog of one task, and the local copy that follows it."""

    def __init__(self, wire: Wire, tp: Tp, partitions: int, store: LocalStore, limits: Limits) -> None:
        self._wire = wire
        self.tp = tp
        self._partitions = partitions
        self.store = store
        self._limits = limits
        self.incarnation = ""
        self.restored = 0
        """Records read back by the last `restore`."""

    def rows(self, delta: Mapping[bytes, bytes | None], places: Mapping[str, Place]) -> list[tuple[Tp, Row]]:
        """What a commit writes: the changes, then the position."""
        now_ms = clock.now_ms()
        position = Position(self.incarnation, SCHEMA, self._partitions, dict(places))
        rows: list[tuple[Tp, Row]] = [(self.tp, (now_ms, key, value, ())) for key, value in delta.items()]
        rows.append((self.tp, (now_ms, POSITION, _encode(position), ())))
        return rows

    def committed(self, delta: Mapping[bytes, bytes | None], offset: int) -> None:
        """The commit whose position record is at `offset` succeeded: the copy may have it now."""
        self.store.apply(delta, self._meta(offset))

    def _meta(self, offset: int) -> dict[str, bytes]:
        return {
            "position_at": str(offset).encode(),
            "incarnation": self.incarnation.encode(),
            "used_at": str(clock.now_ms()).encode(),
        }

    # --- reading it back ------------------------------------------------------------------------

    async def restore(self) -> dict[str, Place]:
        """Bring the copy up to the end and return the position; empty when there never was a commit.

        Call it after the fence: then everything that will ever be committed before us is there. Raises TimeoutError,
        Misconfigured (the state is of a newer version), and what reading raises.
        """
        async with asyncio.timeout(self._limits.restore_timeout_s):
            self.restored = 0
            start = await self._trusted_start()
            try:
                position = await self._replay(start)
            except OutOfRange:
                position = None
            if start and (position is None or position.incarnation != self._known_incarnation()):
                self.store.wipe()
                position = await self._replay(0)
            if position is None:
                self.incarnation = uuid.uuid4().hex
                self.store.wipe()
                return {}
            return position.places

    def _known_incarnation(self) -> str:
        return (self.store.meta("incarnation") or b"").decode()

    async def _trusted_start(self) -> int:
        """Where to read on from: the copy's last commit when it can be trusted, else the beginning, with no copy.

        A copy not used for long may hold keys whose deletion is compacted away already.
        """
        at, used_at = self.store.meta("position_at"), self.store.meta("used_at")
        if at is not None and used_at is not None and clock.now_ms() - int(used_at) < TOMBSTONES_MS - _DAY_MS:
            return int(at)
        self.store.wipe()
        return 0

    async def _replay(self, start: int) -> Position | None:
        """Apply everything committed from `start` on. The end is taken with uncommitted reads: what was committed last
        may be beyond what committed reads are told of, until the markers are written."""
        ends = await self._wire.offsets([self.tp], LATEST, UNCOMMITTED)
        firsts = await self._wire.offsets([self.tp], EARLIEST)
        if start and not firsts[self.tp] <= start < ends[self.tp]:
            raise OutOfRange(f"the local copy is of another log than {self.tp}")
        at, end = max(start, firsts[self.tp]), ends[self.tp]
        position: Position | None = None
        position_at = -1
        expected = self._known_incarnation() if start else None
        delta: dict[bytes, bytes | None] = {}
        while at < end:
            before = at
            batches = await fetch_once(self._wire, self.tp, at, COMMITTED, _CHUNK, ("restore", self.tp[1] % 4))
            for records, at in batches:  # noqa: B007  # where to read on from
                for record in records:
                    if record.key == POSITION:
                        position, position_at = _read(record.value), record.offset
                        if expected is not None and position.incarnation != expected:
                            return position
                    elif record.key is not None:
                        delta[record.key] = record.value
                self.restored += len(records)
                # Cut at commits only: half of one must never be what a copy says it is.
                if len(delta) >= _ROWS_AT_ONCE and position is not None and records and records[-1].key == POSITION:
                    self._load(delta, position, position_at)
                    delta = {}
            # When nothing came, the end is not visible yet: a marker is on its way.
            await asyncio.sleep(0.01 if at == before else 0)
        if position is not None:
            self._load(delta, position, position_at)
        return position

    def _load(self, delta: dict[bytes, bytes | None], position: Position, position_at: int) -> None:
        self.incarnation = position.incarnation
        self.store.load(delta, self._meta(position_at))


def _read(value: bytes | None) -> Position:
    position = _decode(value or b"")
    if position.schema > SCHEMA:
        raise Misconfigured(
            "state", f"the state was written by a newer version (layout {position.schema}, this one reads {SCHEMA})"
        )
    return position
