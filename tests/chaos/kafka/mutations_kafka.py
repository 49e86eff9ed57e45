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
FORGETFUL = {"position_of_the_group_read_before_the_fence": 1.0}
"""What the normalizer remembers of message ids hides that something is worked on again; here it soon forgets them."""
SIGNS = ("lost", "twice", "out of order", "not dense", "differ")
ATTEMPTS = 12


@pytest.mark.timeout(400)
@pytest.mark.parametrize("mutation", MUTATIONS)
async def test_the_oracle_turns_red(mutation: str, one_broker: Cluster, make_chaos: Callable[..., Chaos]) -> None:
    """A few seconds of the run with the defect; more of them, when chance did not meet it."""
    seen: list[str] = []
    for _ in range(ATTEMPTS):
        seed = random.SystemRandom().randrange(1, 1_000_000)
        seen_for_s = FORGETFUL.get(mutation)
        chaos = make_chaos(one_broker, seed, mutation=mutation, rejects=0.05, seen_for_s=seen_for_s)
        verdict = await chaos.run(5.0, workers=3, patience_s=6.0)
        seen += verdict.complaints
        if any(sign in complaint for complaint in verdict.complaints for sign in SIGNS):
            return
    pytest.fail(f"{ATTEMPTS} runs with {mutation}, and the oracle saw nothing: {seen}")


@pytest.mark.timeout(400)
async def test_a_forgetful_normalizer_alone_does_not_turn_it_red(
    one_broker: Cluster, make_chaos: Callable[..., Chaos]
) -> None:
    seed = random.SystemRandom().randrange(1, 1_000_000)
    verdict = await make_chaos(one_broker, seed, rejects=0.05, seen_for_s=1.0).run(10.0, workers=3)
    assert verdict.complaints == [], f"seed {seed}"
