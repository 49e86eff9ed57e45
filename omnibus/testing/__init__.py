"""Public test tools: the channel contract suite, a fake provider, stages without a bus."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omnibus.testing.contract import ChannelContract
    from omnibus.testing.report import Finding, Report, run_contract

__all__ = ["ChannelContract", "Finding", "Report", "run_contract"]

_HOMES = {"ChannelContract": "contract", "Finding": "report", "Report": "report", "run_contract": "report"}


def __getattr__(name: str) -> Any:
    """Loaded when first used: the pytest plugin lives in this package and starts with every run of pytest."""
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
