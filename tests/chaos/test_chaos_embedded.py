"""Exactly once on the embedded bus while workers are killed and stopped at random.

About 20 seconds by default; ``OMNIBUS_CHAOS_SECONDS=60`` and ``OMNIBUS_CHAOS_SEED`` choose another run.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.conftest import Chaos

SECONDS = float(os.environ.get("OMNIBUS_CHAOS_SECONDS", "12"))
SEED = int(os.environ.get("OMNIBUS_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)


@pytest.mark.timeout(SECONDS + 200)
async def test_nothing_is_lost_and_nothing_happens_twice(make_chaos: Callable[..., Chaos]) -> None:
    """kill -9 and SIGSTOP, two stages, re-keying, timers: every count is dense in the end."""
    verdict = await make_chaos(SEED).run(SECONDS)
    print(f"seed {SEED}: {verdict}")
    assert verdict.complaints == [], f"OMNIBUS_CHAOS_SEED={SEED} runs it again"
    assert verdict.kills > 0
    assert verdict.sent > 0
    assert verdict.timers > 0


@pytest.mark.timeout(200)
async def test_the_oracle_turns_red_without_the_fence(make_chaos: Callable[..., Chaos]) -> None:
    """The same run with the epoch check left out: the oracle would notice a broken fence."""
    for attempt in range(6):
        verdict = await make_chaos(SEED + attempt, unfenced=True).run(min(SECONDS, 6.0))
        if any("twice" in complaint or "not dense" in complaint for complaint in verdict.complaints):
            return
    pytest.fail("six runs without a fence, and the oracle saw nothing")
