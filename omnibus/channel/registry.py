"""Discovery: walks ``connectors/`` and the entry-point group ``omnibus.channels``; no list to edit.

A channel is a folder without a leading underscore whose ``channel.py`` has ``CHANNEL``. A folder that cannot be
imported breaks only itself: it is reported, the others work.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from omnibus.channel.declaration import Channel
from omnibus.errors import Misconfigured

GROUP = "omnibus.channels"
HOME = "connectors"


@dataclass(frozen=True)
class Discovery:
    """The channels found, and the folders that could not be imported with the reason."""

    channels: Mapping[str, Channel]
    broken: Mapping[str, str] = field(default_factory=dict)

    def channel(self, name: str) -> Channel:
        """Raises Misconfigured with the known names when there is none."""
        if name in self.channels:
            return self.channels[name]
        if name in self.broken:
            raise Misconfigured("type", f"channel {name!r} cannot be imported: {self.broken[name]}")
        raise Misconfigured("type", f"no channel {name!r}; known: {', '.join(sorted(self.channels))}")


@cache
def discover() -> Discovery:
    """All channels of this installation."""
    found: dict[str, Channel] = {}
    broken: dict[str, str] = {}
    for name, module in sorted(_folders().items() | _entry_points().items()):
        try:
            found[name] = load_channel(module)
        except Exception as error:  # a broken folder must not take the others down; it is reported by name
            broken[name] = f"{type(error).__name__}: {error}"
    return Discovery(found, broken)


@cache
def find(name: str) -> Channel:
    """The channel of that name, without importing the others; what `discover().channel(name)` gives, and raises."""
    package = f"{HOME}.{name}"
    if not name.isidentifier() or name.startswith("_") or find_spec(package) is None:
        return discover().channel(name)
    try:
        return load_channel(package)
    except Exception:  # discovery says why it cannot be imported
        return discover().channel(name)


def load_channel(package: str) -> Channel:
    """The CHANNEL of a package such as ``connectors.telegram``."""
    channel = importlib.import_module(f"{package}.channel").CHANNEL
    if not isinstance(channel, Channel):
        raise TypeError(f"{package}.channel.CHANNEL is no Channel")
    return replace(channel, package=package)


def load_part(channel: Channel, part: str) -> Any:
    """The class behind a part's name (``.send:TelegramSender``). Raises Misconfigured when an SDK is missing."""
    module, _, name = part.partition(":")
    try:
        return getattr(importlib.import_module(module, channel.package), name)
    except ImportError as error:
        raise Misconfigured(f"channel {channel.name}", f"{part} cannot be imported: {error}") from error


def _folders() -> dict[str, str]:
    home = importlib.import_module(HOME)
    return {
        info.name: f"{HOME}.{info.name}"
        for info in pkgutil.iter_modules(home.__path__)
        if info.ispkg and not info.name.startswith("_")
    }


def _entry_points() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=GROUP)}
