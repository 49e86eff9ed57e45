"""Discovery of plug-ins: walks a package's modules and an entry-point group; no list to edit anywhere.

One that cannot be imported breaks only itself: it is reported by name, the others work.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

import msgspec

from omnibus.errors import Misconfigured

T = TypeVar("T")


class Found(msgspec.Struct, Generic[T], frozen=True):
    """The plug-ins of one kind, and those that could not be imported with the reason."""

    kind: str
    plugins: Mapping[str, T]
    broken: Mapping[str, str] = {}

    def get(self, name: str) -> T:
        """Raises Misconfigured with the known names when there is none."""
        if name in self.plugins:
            return self.plugins[name]
        if name in self.broken:
            raise Misconfigured("type", f"{self.kind} {name!r} cannot be imported: {self.broken[name]}")
        raise Misconfigured("type", f"no {self.kind} {name!r}; known: {', '.join(sorted(self.plugins))}")


def installed(home: str, group: str, *, packages: bool, without: frozenset[str] = frozenset()) -> dict[str, str]:
    """Where plug-ins may be: `home`'s own packages (or modules) that do not begin with an underscore, and the entry
    points of `group`. By name, the module to import."""
    modules = pkgutil.iter_modules(importlib.import_module(home).__path__)
    names = (info.name for info in modules if info.ispkg == packages and not info.name.startswith("_"))
    own = {name: f"{home}.{name}" for name in names if name not in without}
    return own | {point.name: point.value for point in entry_points(group=group)}


def load_all(kind: str, modules: Mapping[str, str], load: Callable[[str], T]) -> Found[T]:
    """Load each of `modules` (by name) with `load`."""
    plugins: dict[str, T] = {}
    broken: dict[str, str] = {}
    for name, module in sorted(modules.items()):
        try:
            plugins[name] = load(module)
        except Exception as error:  # a broken plug-in must not take the others down; it is reported by name
            broken[name] = f"{type(error).__name__}: {error}"
    return Found(kind, plugins, broken)


def part(package: str, name: str, owner: str) -> Any:
    """The class behind a part's name (``.send:TelegramSender``), imported when first used.

    Raises Misconfigured when it, or something it needs, is not installed.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module, package), attribute)
    except ImportError as error:
        raise Misconfigured(owner, f"{name} cannot be imported: {error}") from error
