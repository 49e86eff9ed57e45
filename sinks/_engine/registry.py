"""Discovery: walks ``sinks/`` and the entry-point group ``omnibus.sinks``; no list to edit.

A sink is a folder without a leading underscore whose ``sink.py`` has ``SINK``. A folder that cannot be imported breaks
only itself: it is reported, the others work.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import cast

from omnibus.plugins import Found, installed, load_all, part
from sinks._engine.declaration import Destination, Sink, SinkTools

GROUP = "omnibus.sinks"
HOME = "sinks"


@cache
def discover() -> Found[Sink]:
    """All sinks of this installation."""
    return discover_in(installed(HOME, GROUP, packages=True))


def discover_in(packages: Mapping[str, str]) -> Found[Sink]:
    """The sinks of these packages, by name."""
    return load_all("sink", packages, load_sink)


def load_sink(package: str) -> Sink:
    """The SINK of a package such as ``sinks.webhook``."""
    sink = importlib.import_module(f"{package}.sink").SINK
    if not isinstance(sink, Sink):
        raise TypeError(f"{package}.sink.SINK is no Sink")
    return replace(sink, package=package)


def load_destination(sink: Sink) -> Callable[[SinkTools], Destination]:
    """The class behind `sink.make`. Raises Misconfigured when something it needs is not installed."""
    return cast("Callable[[SinkTools], Destination]", part(sink.package, sink.make, f"sink {sink.name}"))
