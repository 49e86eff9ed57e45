"""What the operator writes reaches the engine."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from omnibus.bus.kafka.limits import Limits
from omnibus.bus.kafka.settings import configured, limits_of
from omnibus.bus.topics import Topics
from omnibus.config.model import KafkaSaslSettings, KafkaSettings
from omnibus.errors import Misconfigured


def test_without_settings_everything_is_as_the_guide_says() -> None:
    assert limits_of(KafkaSettings()) == Limits()


def test_every_setting_reaches_the_engine(tmp_path: Path) -> None:
    settings = KafkaSettings(
        commit_interval=timedelta(milliseconds=40),
        session_timeout=timedelta(seconds=2),
        replication=1,
        compression="lz4",
        state=tmp_path,
    )
    limits = limits_of(settings, skip_lost=True)
    assert limits == Limits(
        commit_interval_ms=(5.0, 40.0),
        session_timeout_ms=2_000,
        heartbeat_ms=500,
        rebalance_timeout_ms=25_000,
        replication=1,
        compression="lz4",
        skip_lost=True,
    )


def test_the_longest_pause_bounds_the_shortest() -> None:
    assert limits_of(KafkaSettings(commit_interval=timedelta(milliseconds=2))).commit_interval_ms == (2.0, 2.0)


def test_a_silent_process_has_time_to_join_again() -> None:
    limits = limits_of(KafkaSettings(session_timeout=timedelta(minutes=2)))
    assert (limits.heartbeat_ms, limits.rebalance_timeout_ms) == (1_000, 130_000)


def test_a_login_that_lacks_something_is_refused_before_anything_is_opened() -> None:
    settings = KafkaSettings(sasl=KafkaSaslSettings(mechanism="PLAIN", username="omnibus"))
    with pytest.raises(Misconfigured, match="password"):
        configured(["127.0.0.1:9"], Topics("t"), None, settings)
