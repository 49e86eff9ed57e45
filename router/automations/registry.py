"""Discovery: walks ``router/automations/`` and the entry-point group ``omnibus.automations``; no list to edit.

An automation type is a module with ``AUTOMATION``. One that cannot be imported breaks only itself: it is reported.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache

from omnibus.plugins import Found, installed, load_all
from router.automations.contract import Automation

GROUP = "omnibus.automations"
HOME = "router.automations"
_MACHINERY = frozenset({"contract", "registry", "worker", "signature"})


@cache
def discover() -> Found[Automation]:
    """All automation types of this installation."""
    return discover_in(installed(HOME, GROUP, packages=False, without=_MACHINERY))


def discover_in(modules: Mapping[str, str]) -> Found[Automation]:
    """The automation types of these modules."""
    return load_all("automation", modules, load_automation)


def load_automation(module: str) -> Automation:
    """The AUTOMATION of a module such as ``router.automations.acknowledge``."""
    automation = importlib.import_module(module).AUTOMATION
    if not isinstance(automation, Automation):
        raise TypeError(f"{module}.AUTOMATION is no Automation")
    return automation
