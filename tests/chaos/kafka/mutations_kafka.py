"""The oracle sees every defect it is there for: each one, put into the workers, turns it red."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from omnibus.testing.kafka import Cluster
    from tests.chaos.kafka.conftest import Chaos

pytestmark = pytest.mark.connected

MUTATIONS = (
    "no_fence",
    "results_not_looked_at",
    "no_seek_after_a_failure",
    "position_of_the_group_read_before_the_fence",
    "copy_written_before_the_commit",
    "restore_stops_short",
    "tombstones_ignored",
)
SIGNS = ("lost", "twice", "out of order", "not dense", "differ")
ATTEMPTS = 12


@pytest.mark.timeout(400)
@pytest.mark.parametrize("mutation", MUTATIONS)
async def test_the_oracle_turns_red(mutation: str, one_broker: Cluster, make_chaos: Callable[..., Chaos]) -> None:
    """A few seconds of the run with the defect; more of them, when chance did not meet it."""
    seen: list[str] = []
    for _ in range(ATTEMPTS):
        seed = random.SystemRandom().randrange(1, 1_000_000)
        chaos = make_chaos(one_broker, seed, mutation=mutation, rejects=0.05)
        verdict = await chaos.run(5.0, workers=3, patience_s=6.0)
        seen += verdict.complaints
        if any(sign in complaint for complaint in verdict.complaints for sign in SIGNS):
            return
    pytest.fail(f"{ATTEMPTS} runs with {mutation}, and the oracle saw nothing: {seen}")
