"""What retention took before it was read: a stage stops there, unless the operator said to go on behind it."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from omnibus.errors import OutOfRange

log = structlog.get_logger(__name__)


def where_to_go_on(
    who: str, topic: str, partition: int, offset: int, acked: Sequence[int], bounds: tuple[int, int], *, skip: bool
) -> tuple[int, tuple[int, ...]]:
    """The offset a stage or sink reads on from, and the acknowledgements beyond it.

    `offset` and `acked` are what it committed, `bounds` the first offset of the log and the next one to be written.
    With `skip`, records that are gone are counted in the log of this process and passed; without, and for a position
    beyond the end (another log than the one it was committed for), it raises OutOfRange.
    """
    first, after = bounds
    if first <= offset <= after:
        return offset, tuple(acked)
    if offset > after or not skip:
        raise OutOfRange(
            f"{who} stands at offset {offset} of {topic}[{partition}], but the log holds {first} to {after}: records "
            "may have been lost to retention before it saw them (`lost_records: skip` goes on behind them)"
        )
    left = tuple(one for one in acked if one >= first)
    gone = first - offset - (len(acked) - len(left))
    log.error("records_skipped", who=who, topic=topic, partition=partition, records=gone, goes_on_at=first)
    return first, left
