"""The settings classes of channels, sinks and automations, by type; loaded by name (the kernel imports no plug-in)."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from omnibus.channel.registry import discover, find
from omnibus.errors import Misconfigured

_REGISTRIES = {
    "channels": ("omnibus.channel.registry", "channels"),
    "sinks": ("sinks._engine.registry", "sinks"),
    "automations": ("router.automations.registry", "automations"),
}


def declared(section: str) -> Mapping[str, Any]:
    """The declarations of a section's plug-ins, by type."""
    found: Mapping[str, Any] = getattr(_discovery(section), _REGISTRIES[section][1])
    return found


def broken_of(section: str) -> Mapping[str, str]:
    """The plug-ins of a section that cannot be imported, with the reason."""
    found: Mapping[str, str] = _discovery(section).broken
    return found


def _discovery(section: str) -> Any:
    return importlib.import_module(_REGISTRIES[section][0]).discover()


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
