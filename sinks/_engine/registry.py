"""Discovery: walks ``sinks/`` and the entry-point group ``omnibus.sinks``; no list to edit.

A sink is a folder without a leading underscore whose ``sink.py`` has ``SINK``. A folder that cannot be imported breaks
only itself: it is reported, the others work.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from typing import cast

from omnibus.errors import Misconfigured
from sinks._engine.declaration import Destination, Sink, SinkTools

GROUP = "omnibus.sinks"
HOME = "sinks"


@dataclass(frozen=True)
class Discovery:
    """The sinks found, and the folders that could not be imported with the reason."""

    sinks: Mapping[str, Sink]
    broken: Mapping[str, str] = field(default_factory=dict)

    def sink(self, name: str) -> Sink:
        """Raises Misconfigured with the known names when there is none."""
        if name in self.sinks:
            return self.sinks[name]
        if name in self.broken:
            raise Misconfigured("type", f"sink {name!r} cannot be imported: {self.broken[name]}")
        raise Misconfigured("type", f"no sink {name!r}; known: {', '.join(sorted(self.sinks))}")


@cache
def discover() -> Discovery:
    """All sinks of this installation."""
    return discover_in(_folders() | _entry_points())


def discover_in(packages: Mapping[str, str]) -> Discovery:
    """The sinks of these packages, by name."""
    found: dict[str, Sink] = {}
    broken: dict[str, str] = {}
    for name, package in sorted(packages.items()):
        try:
            found[name] = load_sink(package)
        except Exception as error:  # a broken folder must not take the others down; it is reported by name
            broken[name] = f"{type(error).__name__}: {error}"
    return Discovery(found, broken)


def load_sink(package: str) -> Sink:
    """The SINK of a package such as ``sinks.webhook``."""
    sink = importlib.import_module(f"{package}.sink").SINK
    if not isinstance(sink, Sink):
        raise TypeError(f"{package}.sink.SINK is no Sink")
    return replace(sink, package=package)


def load_destination(sink: Sink) -> Callable[[SinkTools], Destination]:
    """The class behind `sink.make`. Raises Misconfigured when something it needs is not installed."""
    module, _, name = sink.make.partition(":")
    try:
        return cast("Callable[[SinkTools], Destination]", getattr(importlib.import_module(module, sink.package), name))
    except ImportError as error:
        raise Misconfigured(f"sink {sink.name}", f"{sink.make} cannot be imported: {error}") from error


def _folders() -> dict[str, str]:
    home = importlib.import_module(HOME)
    return {
        info.name: f"{HOME}.{info.name}"
        for info in pkgutil.iter_modules(home.__path__)
        if info.ispkg and not info.name.startswith("_")
    }


def _entry_points() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=GROUP)}
