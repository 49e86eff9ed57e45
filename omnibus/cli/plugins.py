"""The settings classes of channels, sinks and automations, by type; loaded by name (the kernel imports no plug-in)."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from omnibus.channel.registry import discover, find
from omnibus.errors import Misconfigured
from omnibus.plugins import Found

_REGISTRIES = {
    "channels": "omnibus.channel.registry",
    "sinks": "sinks._engine.registry",
    "automations": "router.automations.registry",
}


def declared(section: str) -> Mapping[str, Any]:
    """The declarations of a section's plug-ins, by type."""
    return _found(section).plugins


def broken_of(section: str) -> Mapping[str, str]:
    """The plug-ins of a section that cannot be imported, with the reason."""
    return _found(section).broken


def _found(section: str) -> Found[Any]:
    found: Found[Any] = importlib.import_module(_REGISTRIES[section]).discover()
    return found


def settings_of(section: str, kind: str) -> type[msgspec.Struct] | None:
    """The settings class of that type, None when there is no such type."""
    if section == "channels":
        return _settings_of_channel(kind)
    declaration = declared(section).get(kind)
    return None if declaration is None else declaration.settings


def _settings_of_channel(kind: str) -> type[msgspec.Struct] | None:
    """Of that channel alone: with many channels the others' imports would make every command slow.

    Raises Misconfigured when it is there and cannot be imported.
    """
    try:
        return find(kind).settings
    except Misconfigured:
        if kind in discover().broken:
            raise
        return None


def known_types(section: str) -> Iterable[str]:
    """The types there are."""
    return sorted(declared(section))


def sections() -> Mapping[str, Any]:
    """The configuration's sections that belong to a stage, with their types."""
    found: Mapping[str, Any] = importlib.import_module("router.plan").SECTIONS
    return found
