"""Token buckets: so much at once, so much a minute, and a bounded number of keys."""

from __future__ import annotations

from connectors._shared.live import limits
from connectors._shared.live.limits import Allowance, Counted


def test_a_burst_is_allowed_and_then_the_pace() -> None:
    allowance = Allowance(per_minute=60, burst=3)
    assert [allowance.take("a", 0) for _ in range(4)] == [0, 0, 0, 1_000]
    assert allowance.take("a", 999) > 0
    assert allowance.take("a", 1_000) == 0
    assert allowance.take("b", 0) == 0


def test_a_clock_that_steps_back_gives_nothing_and_takes_nothing() -> None:
    allowance = Allowance(per_minute=60, burst=1)
    assert allowance.take("a", 10_000) == 0
    assert allowance.take("a", 5_000) == 1_000


def test_keys_not_used_for_longest_are_forgotten() -> None:
    allowance = Allowance(per_minute=1, burst=1)
    for number in range(limits.MAX_BUCKETS + 1):
        allowance.take(str(number), 0)
    assert allowance.take("0", 0) == 0
    assert allowance.take(str(limits.MAX_BUCKETS), 0) > 0


def test_what_is_open_is_counted_by_key() -> None:
    counted = Counted(2)
    assert [counted.enter("a"), counted.enter("a"), counted.enter("a"), counted.enter("b")] == [True, True, False, True]
    counted.leave("a")
    assert counted.enter("a")
