"""What of a changed configuration a running installation takes, and what it takes only at its next start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omnibus.config.model import Config, Core, SinkConfig


def needs_restart(running: Config, new: Config) -> tuple[str, ...]:
    """The paths of `new` that a reload leaves as they are in `running`.

    Taken while running: routes, queues, calendars, word lists, the breaker, shadow rules, new automations. The rest is
    put together once, at the start: the bus, channels, sinks, doors, and the automations there are.
    """
    return tuple(dict.fromkeys([*_core(running, new), *_parts(running, new), *_readers(running, new)]))


def _core(running: Config, new: Config) -> Iterator[str]:
    for name in Core.__struct_fields__:
        if name != "routes" and getattr(running.core, name) != getattr(new.core, name):
            yield name


def _parts(running: Config, new: Config) -> Iterator[str]:
    yield from _changed("channels", running.channels, new.channels)
    both = running.automations.keys() & new.automations.keys()
    yield from _changed("automations", {n: running.automations[n] for n in both}, {n: new.automations[n] for n in both})
    yield from _changed("sinks", running.sinks, new.sinks)


def _changed(section: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"{section}.{name}"


def _readers(running: Config, new: Config) -> Iterator[str]:
    """Sinks that read all queues or automations know those there were at the start."""
    fresh = {
        "queue:*": new.queues.keys() - running.queues.keys(),
        "automation:*": new.automations.keys() - running.automations.keys(),
    }
    for name, sink in sorted(new.sinks.items()):
        if _reads_any(sink, [stars for stars, names in fresh.items() if names]):
            yield f"sinks.{name}"


def _reads_any(sink: SinkConfig, sources: list[str]) -> bool:
    return not set(sources).isdisjoint(sink.sources)
