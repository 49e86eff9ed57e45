"""The router's checks, by name: the kernel does not import the router."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from omnibus.bus.port import Out, Record
from omnibus.bus.topics import Topics
from omnibus.config.model import Config


def check_rules(config: Config) -> None:
    """Compile every condition. Raises ConfigErrors with the line of each that is wrong."""
    importlib.import_module("router.rules.check").check(config)


def run_examples(config: Config, path: str | None) -> list[dict[str, Any]]:
    """Results of the examples in `path` (or beside the configuration's rules): name, result, why."""
    return cast("list[dict[str, Any]]", importlib.import_module("router.rules.examples").run(config, path))


def simulated(live: Config, candidate: Config, records: Sequence[Record]) -> dict[str, Any]:
    """What the candidate would have done with these records, beside what the configuration in use would have."""
    from omnibus.cli.assemble import accounts_of

    plan_of, topics = importlib.import_module("router.plan").plan_of, Topics(live.prefix)
    plans = [plan_of(config, topics, accounts_of(config)) for config in (live, candidate)]
    compared = importlib.import_module("router.simulate").simulate(*plans, records)
    return cast("dict[str, Any]", msgspec.to_builtins(compared))


def pause_record(topics: Topics, queue: str, *, paused: bool) -> Out:
    """The record that pauses a queue, or opens it again."""
    return cast(Out, importlib.import_module("router.board").pause_record(topics, queue, paused=paused))
