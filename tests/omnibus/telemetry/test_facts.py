"""Emitting a fact writes its line and counts it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import ClassVar, get_args

import pytest
import structlog
from structlog.testing import capture_logs

from omnibus.telemetry import facts, logs, metrics


@pytest.fixture(autouse=True)
def counted() -> Iterator[metrics.Metrics]:
    with metrics.use(metrics.Metrics()) as fresh:
        yield fresh


def test_a_fact_is_one_line_at_its_level_and_one_count(counted: metrics.Metrics) -> None:
    with capture_logs() as lines:
        facts.emit(facts.PayloadParked(channel="telegram", reason="InvalidPayload"))

    assert lines == [
        {
            "event": "payload parked",
            "log_level": "warning",
            "channel": "telegram",
            "reason": "InvalidPayload",
            "topic": "",
            "partition": -1,
            "offset": -1,
        }
    ]
    assert b'omnibus_parked_total{channel="telegram",reason="InvalidPayload"} 1.0' in counted.render()


def test_a_fact_about_a_batch_counts_for_all_of_it(counted: metrics.Metrics) -> None:
    facts.emit(facts.Accepted(channel="email", account="support", records=7))
    facts.emit(facts.Delivered(sink="desk", records=3))
    facts.emit(facts.DeliveryFailed(sink="desk", code="NO_PERMISSION"))

    page = counted.render()
    assert b'omnibus_accepted_total{account="support",channel="email"} 7.0' in page
    assert b'omnibus_deliveries_total{result="delivered",sink="desk"} 3.0' in page
    assert b'omnibus_deliveries_total{result="failed",sink="desk"} 1.0' in page


def test_a_fact_below_the_level_is_counted_all_the_same(counted: metrics.Metrics) -> None:
    stream = io.StringIO()
    logs.configure("json", "warning", stream=stream)
    facts.emit(facts.Received(channel="email", account="support"))
    structlog.reset_defaults()
    logs.release()

    assert stream.getvalue() == ""
    assert b'omnibus_received_total{account="support",channel="email"} 1.0' in counted.render()


def test_a_fact_without_a_counter_is_counted_by_its_kind(counted: metrics.Metrics) -> None:
    facts.emit(facts.TaskFenced(stage="router", partition=2))

    assert b'omnibus_facts_total{fact="task fenced"} 1.0' in counted.render()


def test_other_packages_bring_facts_of_their_own(counted: metrics.Metrics) -> None:
    class KettleBoiled(facts.Fact, frozen=True, kw_only=True):
        level: ClassVar[facts.Level] = "info"
        minutes: int

    with capture_logs() as lines:
        facts.emit(KettleBoiled(minutes=3))

    assert (lines[0]["event"], lines[0]["minutes"]) == ("kettle boiled", 3)


def test_every_fact_has_a_known_level_and_the_fields_its_counter_needs() -> None:
    kinds = [each for each in vars(facts).values() if isinstance(each, type) and issubclass(each, facts.Fact)]
    for kind in kinds:
        assert kind.level in get_args(facts.Level)
        labels = metrics.COUNTERS[kind.counter][1] if kind.counter else ()
        assert {*labels} <= {*kind.__struct_fields__, *kind.fixed}, kind
    assert len(kinds) > 10
