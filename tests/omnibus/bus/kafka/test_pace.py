"""The pause between commits follows how busy the process is."""

from __future__ import annotations

from omnibus.bus.kafka.pace import Pace


def test_commits_become_rarer_under_load_and_soon_again_when_it_is_over() -> None:
    pace = Pace((5.0, 250.0))
    assert pace.interval_s == 0.005
    for _ in range(20):
        pace.adapt(0.95)
    assert pace.interval_s == 0.25
    pace.adapt(0.7)
    assert pace.interval_s == 0.25, "neither busy nor easy: it stays"
    for _ in range(40):
        pace.adapt(0.6)
    assert pace.interval_s == 0.005, "a busy start does not leave it with long pauses"


def test_commits_become_rarer_when_they_take_long_because_others_are_busy() -> None:
    pace = Pace((5.0, 250.0))
    for _ in range(50):
        pace.took(0.04)
    assert 0.05 < pace.interval_s <= 0.06
    for _ in range(100):
        pace.took(0.5)
    assert pace.interval_s == 0.25
    for _ in range(100):
        pace.took(0.001)
    assert pace.interval_s == 0.005
