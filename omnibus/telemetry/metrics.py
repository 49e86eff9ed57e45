"""Prometheus metrics: one registry for each process, and label children looked up once."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from omnibus.bus.port import Health

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_CHILDREN = 2_000
"""Label combinations of one metric; later ones are counted together, so that nobody outside can fill our memory."""

ROUTER = "router"
M = TypeVar("M", Counter, Gauge, Histogram)
_STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "received": ("Requests, mails and socket messages that arrived.", ("channel", "account")),
    "accepted": ("Raw events that the log has.", ("channel", "account")),
    "rejected": ("Arrivals refused before the log.", ("channel", "account", "reason")),
    "raw": ("Raw events normalised.", ("channel",)),
    "unified": ("Events of them that were new.", ("channel",)),
    "duplicates": ("Events of them that had come before.", ("channel",)),
    "unplaced": ("Reactions to messages of no conversation.", ("channel",)),
    "parked": ("Raw events that could not be understood.", ("channel", "reason")),
    "dead_letters": ("Records put aside.", ("stage", "reason")),
    "decisions": ("Routing decisions.", ("outcome", "target")),
    "rule_errors": ("Messages for which a rule could not be evaluated and was passed by.", ("rule",)),
    "deliveries": ("Deliveries by sink and result.", ("sink", "result")),
    "facts": ("Things that happened, by kind.", ("fact",)),
}
"""Counters by their short name; on the page they are ``omnibus_<name>_total``."""

GAUGES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "channel_connected": ("1 while the channel account is connected.", ("channel", "account")),
    "in_flight_bytes": ("Request bytes held in memory by the front door.", ()),
}

HISTOGRAMS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "step_seconds": ("Time of one step of a stage, commit included.", ("stage",)),
    "delivery_seconds": ("Time of one delivery of a sink.", ("sink",)),
}


class Metrics:
    """The process's metrics. Names are those of COUNTERS, GAUGES and HISTOGRAMS; another name is a KeyError."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters = {name: Counter(_full(name), help_, labels, registry=self.registry)
                          for name, (help_, labels) in COUNTERS.items()}  # fmt: skip
        self._gauges = {name: Gauge(_full(name), help_, labels, registry=self.registry)
                        for name, (help_, labels) in GAUGES.items()}  # fmt: skip
        self._histograms = {name: Histogram(_full(name), help_, labels, buckets=_STEP_SECONDS, registry=self.registry)
                            for name, (help_, labels) in HISTOGRAMS.items()}  # fmt: skip
        self._counter_children: dict[tuple[str, ...], Counter] = {}
        self._gauge_children: dict[tuple[str, ...], Gauge] = {}
        self._histogram_children: dict[tuple[str, ...], Histogram] = {}
        self._sizes: Tally[str] = Tally()
        self._runners = _Runners()
        self.registry.register(self._runners)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter. Count once for a batch, with `by`."""
        key = (name, *labels)
        child = self._counter_children.get(key)
        if child is None:
            child = self._remembered(self._counter_children, key, self._counters[name])
        child.inc(by)

    def set(self, name: str, *labels: str, value: float) -> None:
        """Set a gauge."""
        key = (name, *labels)
        child = self._gauge_children.get(key)
        if child is None:
            child = self._remembered(self._gauge_children, key, self._gauges[name])
        child.set(value)

    def observe(self, name: str, *labels: str, seconds: float) -> None:
        """Add an observation to a histogram. Observe once for a batch."""
        key = (name, *labels)
        child = self._histogram_children.get(key)
        if child is None:
            child = self._remembered(self._histogram_children, key, self._histograms[name])
        child.observe(seconds)

    def watch(self, name: str, health: Callable[[], Health]) -> None:
        """Report a runner (stage or sink) under `name`: asked whenever the page is read."""
        self._runners.watched[name] = health

    def unwatch(self, name: str) -> None:
        """Stop reporting it."""
        self._runners.watched.pop(name, None)

    def render(self) -> bytes:
        """The page, as text in the Prometheus exposition format (CONTENT_TYPE)."""
        return generate_latest(self.registry)

    def _remembered(self, children: dict[tuple[str, ...], M], key: tuple[str, ...], metric: M) -> M:
        name, labels = key[0], key[1:]
        if self._sizes[name] >= MAX_CHILDREN:
            return _child(metric, ("other",) * len(labels))
        self._sizes[name] += 1
        children[key] = child = _child(metric, labels)
        return child


class _Runners(Collector):
    """Turns the health of the runners into metrics when the page is read."""

    def __init__(self) -> None:
        self.watched: dict[str, Callable[[], Health]] = {}

    def collect(self) -> Iterator[Metric]:
        found = {name: health() for name, health in sorted(self.watched.items())}
        yield _gauge("stage_lag_records", "Records not yet processed.", found, _lag)
        yield _gauge("stage_oldest_seconds", "Age of the oldest record not yet processed.", found, _oldest)
        tasks = GaugeMetricFamily(_full("stage_tasks"), "Tasks by state.", labels=("stage", "state"))
        for name, health in found.items():
            for state, count in sorted(Tally(task.state for task in health.tasks).items()):
                tasks.add_metric((name, state), count)
        yield tasks
        yield _counter("stage_processed", "Records processed.", found, lambda health: health.processed_total)
        yield _counter("stage_restarts", "Tasks started afresh.", found, lambda health: health.restarts_total)
        yield _counter("stage_fenced", "Steps void because another owned them.", found, lambda h: h.fenced_total)
        yield _counter("stage_dead_letters", "Records put aside.", found, lambda health: health.dead_letters_total)
        if ROUTER in found:
            help_ = "Age of the oldest conversation event that is not routed."
            yield GaugeMetricFamily(_full("oldest_unrouted_seconds"), help_, value=_oldest(found[ROUTER]))


def _lag(health: Health) -> float:
    return sum(task.lag for task in health.tasks)


def _oldest(health: Health) -> float:
    return max((task.oldest_ms for task in health.tasks), default=0) / 1000


def _gauge(name: str, help_: str, found: Mapping[str, Health], value: Callable[[Health], float]) -> Metric:
    family = GaugeMetricFamily(_full(name), help_, labels=("stage",))
    for stage, health in found.items():
        family.add_metric((stage,), value(health))
    return family


def _counter(name: str, help_: str, found: Mapping[str, Health], value: Callable[[Health], float]) -> Metric:
    family = CounterMetricFamily(_full(name), help_, labels=("stage",))
    for stage, health in found.items():
        family.add_metric((stage,), value(health))
    return family


def _full(name: str) -> str:
    return f"omnibus_{name}"


def _child(metric: M, labels: tuple[str, ...]) -> M:
    return metric.labels(*labels) if labels else metric


_current = Metrics()


def current() -> Metrics:
    """The process's metrics."""
    return _current


@contextmanager
def use(metrics: Metrics) -> Iterator[Metrics]:
    """Make `metrics` the process's inside a ``with`` block."""
    global _current
    before, _current = _current, metrics
    try:
        yield metrics
    finally:
        _current = before
