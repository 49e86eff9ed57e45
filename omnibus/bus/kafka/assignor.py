"""Which member owns which partition: even, the same partition of every input, and moved as little as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def assign(partitions: int, members: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """The partitions of each member, given what each one owns now.

    Every member gets as many as any other, or one more. A partition stays where it is while its owner is not above its
    share; when two claim the same one (one of them missed a rebalance) the first in name order keeps it.
    """
    if not members:
        return {}
    names = sorted(members)
    least, extra = divmod(partitions, len(names))
    kept = _kept(partitions, members, names)
    # Those who own most already take the odd ones, so that nothing moves for them.
    ranked = sorted(names, key=lambda name: (-len(kept[name]), name))
    share = {name: least + (rank < extra) for rank, name in enumerate(ranked)}
    result = {name: kept[name][: share[name]] for name in names}
    taken = {partition for owned in result.values() for partition in owned}
    free = [partition for partition in range(partitions) if partition not in taken]
    for name in names:
        room = share[name] - len(result[name])
        result[name] = sorted(result[name] + free[:room])
        free = free[room:]
    return result


def _kept(partitions: int, members: Mapping[str, Sequence[int]], names: Sequence[str]) -> dict[str, list[int]]:
    claimed: set[int] = set()
    kept: dict[str, list[int]] = {}
    for name in names:
        valid = {partition for partition in members[name] if 0 <= partition < partitions}
        kept[name] = sorted(valid - claimed)
        claimed |= valid
    return kept
