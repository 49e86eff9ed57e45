"""The router's checks, by name: the kernel does not import the router."""

from __future__ import annotations

import importlib
from typing import Any, cast

from omnibus.config.model import Config


def check_rules(config: Config) -> None:
    """Compile every condition. Raises ConfigErrors with the line of each that is wrong."""
    importlib.import_module("router.rules.check").check(config)


def run_examples(config: Config, path: str | None) -> list[dict[str, Any]]:
    """Results of the examples in `path` (or beside the configuration's rules): name, result, why."""
    return cast("list[dict[str, Any]]", importlib.import_module("router.rules.examples").run(config, path))
