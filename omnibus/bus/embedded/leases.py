"""Which process owns which partition of a group: members, leases, epochs. All functions run inside a write job."""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from omnibus.bus.embedded.owner import is_dead
from omnibus.bus.embedded.schema import PARTITION_BITS
from omnibus.bus.embedded.txn import Txn
from omnibus.errors import Fenced


def lease_now_ms() -> int:
    """The machine's time: leases are between processes, so the injectable clock has no say."""
    return time.time_ns() // 1_000_000


class Claim(msgspec.Struct, frozen=True):
    """One runner's claim on the partitions of its group."""

    group: int
    owner: str
    partitions: int
    ttl_ms: int

    def until_ms(self) -> int:
        return lease_now_ms() + self.ttl_ms


class Beat(msgspec.Struct):
    """What a heartbeat found: the partitions owned (with their epochs), those to hand over, and the other members."""

    owned: dict[int, int]
    surplus: list[int]
    short: bool
    others: list[str]


def join(txn: Txn, name: str, inputs: tuple[str, ...]) -> int:
    """The id of a group, made when it is new."""
    txn.connection.execute(
        "INSERT INTO grp(name, inputs) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET inputs=excluded.inputs",
        (name, msgspec.msgpack.encode(inputs)),
    )
    (group,) = txn.connection.execute("SELECT id FROM grp WHERE name=?", (name,)).fetchone()
    return int(group)


def beat(txn: Txn, claim: Claim) -> Beat:
    """Renew membership and leases, take free partitions up to an even share, name those above it."""
    now_ms = lease_now_ms()
    members = _living_members(txn, claim, now_ms)
    leases = _leases(txn, claim.group)
    mine = {part: epoch for part, (owner, epoch, _) in leases.items() if owner == claim.owner}
    share = _share(members, claim)
    txn.connection.execute(
        "UPDATE lease SET until_ms=? WHERE grp=? AND owner=?", (claim.until_ms(), claim.group, claim.owner)
    )
    free = [part for part in range(claim.partitions) if part not in mine and _is_free(leases.get(part), now_ms)]
    for part in free[: max(0, share - len(mine))]:
        mine[part] = _take(txn, claim, part)
    surplus = sorted(mine)[share:]
    others = [owner for owner in members if owner != claim.owner]
    return Beat(mine, surplus, len(mine) < share, others)


def _living_members(txn: Txn, claim: Claim, now_ms: int) -> list[str]:
    """The group's members in name order, this one among them; those silent or dead are removed."""
    rows = txn.connection.execute("SELECT owner, until_ms FROM member WHERE grp=?", (claim.group,)).fetchall()
    known = {owner for owner, _ in rows}
    gone = [owner for owner, until_ms in rows if owner != claim.owner and (until_ms < now_ms or is_dead(owner))]
    txn.connection.executemany("DELETE FROM member WHERE grp=? AND owner=?", [(claim.group, owner) for owner in gone])
    txn.connection.execute(
        "INSERT INTO member VALUES(?,?,?) ON CONFLICT(grp,owner) DO UPDATE SET until_ms=excluded.until_ms",
        (claim.group, claim.owner, claim.until_ms()),
    )
    if gone or claim.owner not in known:
        _announce(txn, claim.group)
    return sorted((known | {claim.owner}) - set(gone))


def _leases(txn: Txn, group: int) -> dict[int, tuple[str | None, int, int]]:
    rows = txn.connection.execute("SELECT part, owner, epoch, until_ms FROM lease WHERE grp=?", (group,)).fetchall()
    return {part: (owner, epoch, until_ms) for part, owner, epoch, until_ms in rows}


def _share(members: list[str], claim: Claim) -> int:
    """This member's even share; the first members in name order take what is left over."""
    least, left_over = divmod(claim.partitions, len(members))
    return least + (members.index(claim.owner) < left_over)


def _is_free(lease: tuple[str | None, int, int] | None, now_ms: int) -> bool:
    if lease is None:
        return True
    owner, _, until_ms = lease
    return owner is None or until_ms < now_ms or is_dead(owner)


def _take(txn: Txn, claim: Claim, part: int) -> int:
    (epoch,) = txn.connection.execute(
        "INSERT INTO lease VALUES(?,?,?,1,?) ON CONFLICT(grp,part) DO UPDATE "
        "SET owner=excluded.owner, epoch=epoch+1, until_ms=excluded.until_ms RETURNING epoch",
        (claim.group, part, claim.owner, claim.until_ms()),
    ).fetchone()
    return int(epoch)


def _announce(txn: Txn, group: int) -> None:
    """Let the members in other processes look at the leases soon."""
    txn.connection.execute("UPDATE grp SET generation=generation+1 WHERE id=?", (group,))
    txn.announced.add(group)


def hold(txn: Txn, claim: Claim, epochs: Mapping[int, int]) -> None:
    """The fence: extend the leases of these partitions, or raise Fenced when one has another owner or epoch now."""
    marks = ",".join("?" * len(epochs))
    held = txn.connection.execute(
        f"UPDATE lease SET until_ms=? WHERE grp=? AND owner=? AND (epoch<<{PARTITION_BITS} | part) IN ({marks})",  # noqa: S608  # marks only
        (claim.until_ms(), claim.group, claim.owner, *(_held(part, epoch) for part, epoch in epochs.items())),
    )
    if held.rowcount != len(epochs):
        raise Fenced(f"of partitions {sorted(epochs)}, {len(epochs) - held.rowcount} have another owner now")


def _held(part: int, epoch: int) -> int:
    return epoch << PARTITION_BITS | part


def renew(txn: Txn, claim: Claim, part: int) -> int:
    """A new epoch for a partition still owned, so that whatever was begun before is void; Fenced when it is lost."""
    row = txn.connection.execute(
        "UPDATE lease SET epoch=epoch+1, until_ms=? WHERE grp=? AND part=? AND owner=? RETURNING epoch",
        (claim.until_ms(), claim.group, part, claim.owner),
    ).fetchone()
    if row is None:
        raise Fenced(f"partition {part} has another owner now")
    return int(row[0])


def release(txn: Txn, claim: Claim, parts: list[int]) -> None:
    """Give partitions back; from here on nothing of the old owner can be committed there."""
    txn.connection.executemany(
        "UPDATE lease SET owner=NULL, epoch=epoch+1, until_ms=0 WHERE grp=? AND part=? AND owner=?",
        [(claim.group, part, claim.owner) for part in parts],
    )
    _announce(txn, claim.group)


def leave(txn: Txn, claim: Claim) -> None:
    """Give everything back and be a member no more."""
    txn.connection.execute(
        "UPDATE lease SET owner=NULL, epoch=epoch+1, until_ms=0 WHERE grp=? AND owner=?", (claim.group, claim.owner)
    )
    txn.connection.execute("DELETE FROM member WHERE grp=? AND owner=?", (claim.group, claim.owner))
    _announce(txn, claim.group)
