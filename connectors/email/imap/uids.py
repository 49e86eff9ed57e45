"""Sets of IMAP UIDs as ranges: ten thousand mails in a row are one range, in the cursor and on the wire."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

Range = tuple[int, int]
"""First and last UID, both included."""
MAX_UID = 2**32 - 1
"""RFC 3501 section 2.3.1.1: a UID has 32 bits."""


def ranges_of(uids: Iterable[int]) -> tuple[Range, ...]:
    """The ranges that hold exactly these."""
    found: list[Range] = []
    for uid in sorted(set(uids)):
        if found and uid == found[-1][1] + 1:
            found[-1] = (found[-1][0], uid)
        else:
            found.append((uid, uid))
    return tuple(found)


def uids_in(ranges: Iterable[Range]) -> Iterator[int]:
    """Each UID of the ranges, in their order."""
    for first, last in ranges:
        yield from range(first, last + 1)


def first_of(ranges: Sequence[Range], count: int) -> list[int]:
    """The first so many UIDs."""
    found: list[int] = []
    for first, last in ranges:
        found.extend(range(first, min(last, first + count - len(found) - 1) + 1))
        if len(found) >= count:
            break
    return found


def without(ranges: Iterable[Range], uids: Iterable[int]) -> tuple[Range, ...]:
    """The ranges without these UIDs."""
    gone = sorted(set(uids))
    left: list[Range] = []
    for first, last in ranges:
        at = first
        for uid in gone[bisect_left(gone, first) : bisect_right(gone, last)]:
            if uid > at:
                left.append((at, uid - 1))
            at = uid + 1
        if at <= last:
            left.append((at, last))
    return tuple(left)


def count_of(ranges: Iterable[Range]) -> int:
    """How many UIDs there are."""
    return sum(last - first + 1 for first, last in ranges)


def sequence_set(uids: Iterable[int]) -> str:
    """As commands want them: `4,7:9` (RFC 3501 section 9, sequence-set)."""
    return written(ranges_of(uids))


def written(ranges: Iterable[Range]) -> str:
    """Ranges as commands want them."""
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ranges)


def bounds_of(ranges: Sequence[Range]) -> Range:
    """The one range that holds them all."""
    return min(first for first, _ in ranges), max(last for _, last in ranges)


def union(*several: Iterable[Range]) -> tuple[Range, ...]:
    """What is in any of them, without going through the UIDs one by one."""
    found: list[Range] = []
    for first, last in sorted(each for ranges in several for each in ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def less(ranges: Iterable[Range], gone: Iterable[Range]) -> tuple[Range, ...]:
    """The ranges without those, whatever their size."""
    left = list(ranges)
    for first, last in gone:
        left = [
            piece
            for low, high in left
            for piece in ((low, min(high, first - 1)), (max(low, last + 1), high))
            if piece[0] <= piece[1]
        ]
    return tuple(left)
