"""The same with three nodes, of which some are killed and stopped.

Too long for every run of the tests: ``pytest tests/chaos/kafka/brokers_kafka.py`` is what `make chaos` asks for.
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
SEED = int(os.environ.get("OMNIBUS_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)

pytestmark = pytest.mark.connected


@pytest.mark.timeout(SECONDS + 400)
async def test_brokers_may_die_as_well(three_brokers: Cluster, make_chaos: Callable[..., Chaos]) -> None:
    """Three nodes: leaders of the transaction log and of changelogs are killed and stopped, on top of everything."""
    verdict = await make_chaos(three_brokers, SEED).run(SECONDS, brokers=True)
    print(f"seed {SEED}: {verdict.faults.total()} faults, {verdict}")
    assert verdict.complaints == [], f"OMNIBUS_CHAOS_SEED={SEED} runs it again"
    assert verdict.faults["broker killed"] + verdict.faults["broker stopped"] > 0
    assert verdict.acknowledged > 50
