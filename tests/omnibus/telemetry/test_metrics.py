"""Metrics are counted cheaply, bounded in number, and runners report themselves when the page is read."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from omnibus.bus.port import Health, TaskHealth, TaskId, TaskState
from omnibus.telemetry.metrics import MAX_CHILDREN, Metrics, current, use


def task(partition: int, state: TaskState, lag: int = 0, oldest_ms: int = 0) -> TaskHealth:
    return TaskHealth(task=TaskId("router", partition), state=state, lag=lag, oldest_ms=oldest_ms)


def samples(metrics: Metrics) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_counters_gauges_and_histograms_are_on_the_page() -> None:
    metrics = Metrics()
    metrics.count("received", "telegram", "bot", by=3)
    metrics.count("received", "telegram", "bot")
    metrics.set("in_flight_bytes", value=77)
    metrics.observe("step_seconds", "router", seconds=0.02)

    page = samples(metrics)
    assert page["omnibus_received_total{account=bot,channel=telegram}"] == 4
    assert page["omnibus_in_flight_bytes{}"] == 77
    assert page["omnibus_step_seconds_count{stage=router}"] == 1


def test_a_metric_nobody_declared_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Metrics().count("kettles")


def test_strangers_cannot_fill_our_memory_with_labels() -> None:
    metrics = Metrics()
    for number in range(MAX_CHILDREN + 500):
        metrics.count("rejected", "webhook", f"account-{number}", "unknown account")

    page = [name for name in samples(metrics) if name.startswith("omnibus_rejected_total")]
    assert len(page) == MAX_CHILDREN + 1
    assert samples(metrics)["omnibus_rejected_total{account=other,channel=other,reason=other}"] == 500


def test_runners_are_asked_when_the_page_is_read() -> None:
    metrics = Metrics()
    health = Health(tasks=(task(0, "ready", 5, 1500), task(1, "restoring", 7)), restarts_total=2, processed_total=40)
    metrics.watch("router", lambda: health)

    page = samples(metrics)
    assert page["omnibus_stage_lag_records{stage=router}"] == 12
    assert page["omnibus_stage_oldest_seconds{stage=router}"] == 1.5
    assert page["omnibus_oldest_unrouted_seconds{}"] == 1.5
    assert page["omnibus_stage_tasks{stage=router,state=restoring}"] == 1
    assert page["omnibus_stage_restarts_total{stage=router}"] == 2
    assert page["omnibus_stage_processed_total{stage=router}"] == 40

    metrics.unwatch("router")
    assert "omnibus_stage_lag_records{stage=router}" not in samples(metrics)


def test_a_runner_without_tasks_has_no_lag() -> None:
    metrics = Metrics()
    metrics.watch("normalizer", lambda: Health(tasks=()))

    assert samples(metrics)["omnibus_stage_oldest_seconds{stage=normalizer}"] == 0


def test_the_process_has_one_set_of_metrics_and_a_test_its_own() -> None:
    before = current()
    with use(Metrics()) as mine:
        assert current() is mine
    assert current() is before
