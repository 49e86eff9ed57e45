"""Metrics and the lines of the log that an operator may act on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docs.pages.markdown import NOTICE, REFERENCE, first_paragraph, table
from omnibus.bus.port import Health
from omnibus.telemetry import facts
from omnibus.telemetry.metrics import COUNTERS, GAUGES, HISTOGRAMS, Metrics

_INTRO = """# Metrics and facts

`/metrics` of every process, in the Prometheus text format ([operations](../guide/operations.md) says which to watch).

"""


def pages() -> Iterator[tuple[Path, str]]:
    """The one page."""
    parts = [NOTICE, _INTRO, table(("metric", "kind", "labels", "is"), list(_metrics())), "\n## Facts\n\n"]
    parts.append(
        "Lines of the log, one kind for each thing that happens; `omnibus_facts_total{fact=...}` counts those\n"
    )
    parts.append("without a metric of their own.\n\n")
    parts.append(table(("event", "level", "counted by", "says"), list(_facts())))
    yield REFERENCE / "metrics.md", "".join(parts)


def _metrics() -> Iterator[tuple[str, ...]]:
    for kind, suffix, found in (("counter", "_total", COUNTERS), ("gauge", "", GAUGES), ("histogram", "", HISTOGRAMS)):
        for name, (text, labels) in found.items():
            yield f"`omnibus_{name}{suffix}`", kind, ", ".join(f"`{label}`" for label in labels), text
    metrics = Metrics()
    metrics.watch("router", lambda: Health(tasks=()))
    own = {f"omnibus_{name}" for name in (*COUNTERS, *GAUGES, *HISTOGRAMS)}
    for family in metrics.registry.collect():
        if family.name not in own:
            suffix = "_total" if family.type == "counter" else ""
            yield f"`{family.name}{suffix}`", family.type, "`stage`", family.documentation


def _facts() -> Iterator[tuple[str, ...]]:
    kinds = [kind for kind in vars(facts).values() if isinstance(kind, type) and issubclass(kind, facts.Fact)]
    for kind in kinds:
        if kind is not facts.Fact:
            counter = f"`omnibus_{kind.counter}_total`" if kind.counter else ""
            yield f"`{facts.name_of(kind)}`", kind.level, counter, first_paragraph(kind)
