"""Exactly once from raw to queue, through the real normalizer and router, while everything is killed.

Half a minute by default; ``OMNIBUS_CHAOS_SECONDS``, ``OMNIBUS_CHAOS_FAULTS`` (it goes on until there were so many, at
most ten times as long) and ``OMNIBUS_CHAOS_SEED`` choose another run.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from omnibus.testing.kafka import Cluster
    from tests.chaos.kafka.conftest import Chaos

SECONDS = float(os.environ.get("OMNIBUS_CHAOS_SECONDS", "30"))
FAULTS = int(os.environ.get("OMNIBUS_CHAOS_FAULTS", "0"))
SEED = int(os.environ.get("OMNIBUS_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)

pytestmark = pytest.mark.connected


@pytest.mark.timeout(10 * SECONDS + 300)
async def test_nothing_is_lost_and_nothing_happens_twice(one_broker: Cluster, make_chaos: Callable[..., Chaos]) -> None:
    """Workers die, come back as zombies, storm the group, lose their stores or find old ones; batches are refused."""
    verdict = await make_chaos(one_broker, SEED).run(SECONDS, faults=FAULTS)
    print(f"seed {SEED}: {verdict.faults.total()} faults, {verdict}")
    assert verdict.complaints == [], f"OMNIBUS_CHAOS_SEED={SEED} runs it again"
    assert verdict.faults.total() >= max(FAULTS, SECONDS / 10)
    assert verdict.acknowledged > 100
    assert verdict.timers >= verdict.conversations > 0
    assert verdict.copies > 0
