"""Discovery: walks ``router/automations/`` and the entry-point group ``omnibus.automations``; no list to edit.

An automation type is a module with ``AUTOMATION``. One that cannot be imported breaks only itself: it is reported.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points

from omnibus.errors import Misconfigured
from router.automations.contract import Automation

GROUP = "omnibus.automations"
HOME = "router.automations"
_MACHINERY = frozenset({"contract", "registry", "worker", "signature"})


@dataclass(frozen=True)
class Discovery:
    """The automation types found, and the modules that could not be imported with the reason."""

    automations: Mapping[str, Automation]
    broken: Mapping[str, str] = field(default_factory=dict)

    def automation(self, name: str) -> Automation:
        """Raises Misconfigured with the known types when there is none."""
        if name in self.automations:
            return self.automations[name]
        if name in self.broken:
            raise Misconfigured("type", f"automation {name!r} cannot be imported: {self.broken[name]}")
        raise Misconfigured("type", f"no automation {name!r}; known: {', '.join(sorted(self.automations))}")


@cache
def discover() -> Discovery:
    """All automation types of this installation."""
    return discover_in(_modules() | _entry_points())


def discover_in(modules: Mapping[str, str]) -> Discovery:
    """The automation types of these modules."""
    found: dict[str, Automation] = {}
    broken: dict[str, str] = {}
    for name, module in sorted(modules.items()):
        try:
            automation = load_automation(module)
        except Exception as error:  # a broken module must not take the others down; it is reported by name
            broken[name] = f"{type(error).__name__}: {error}"
        else:
            found[automation.name] = automation
    return Discovery(found, broken)


def load_automation(module: str) -> Automation:
    """The AUTOMATION of a module such as ``router.automations.acknowledge``."""
    automation = importlib.import_module(module).AUTOMATION
    if not isinstance(automation, Automation):
        raise TypeError(f"{module}.AUTOMATION is no Automation")
    return automation


def _modules() -> dict[str, str]:
    home = importlib.import_module(HOME)
    names = (info.name for info in pkgutil.iter_modules(home.__path__))
    return {name: f"{HOME}.{name}" for name in names if not name.startswith("_") and name not in _MACHINERY}


def _entry_points() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=GROUP)}
