"""The settings classes of channels, sinks and automations, by type; loaded by name (the kernel imports no plug-in)."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

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
    declaration = declared(section).get(kind)
    return None if declaration is None else declaration.settings


def known_types(section: str) -> Iterable[str]:
    """The types there are."""
    return sorted(declared(section))


def sections() -> Mapping[str, Any]:
    """The configuration's sections that belong to a stage, with their types."""
    found: Mapping[str, Any] = importlib.import_module("router.plan").SECTIONS
    return found
