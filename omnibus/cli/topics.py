"""``omnibus topics``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from omnibus.cli.console import json_option, show
from omnibus.cli.reading import with_bus
from omnibus.cli.settings import config_options

if TYPE_CHECKING:
    from omnibus.bus.port import Bus, TopicSpec
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config


@click.command()
@json_option
@config_options
def topics(configure: Callable[[], Config], as_json: bool) -> None:
    """The topics there are: how many records, for how long, and which of the configuration's are missing."""
    config = configure()

    async def work(bus: Bus, _: Topics) -> list[dict[str, Any]]:
        from omnibus.cli.assemble import topic_specs

        there = {spec.name: spec for spec in await bus.topics()}
        wanted = {spec.name: spec for spec in topic_specs(config)}
        return [await _row(bus, name, there.get(name), wanted.get(name)) for name in sorted({*there, *wanted})]

    show(with_bus(config, work), as_json, "topics", right=("partitions", "records"))


async def _row(bus: Bus, name: str, spec: TopicSpec | None, wanted: TopicSpec | None) -> dict[str, Any]:
    if spec is None:
        return {"topic": name, "kind": "", "partitions": "", "records": "", "kept": "", "state": "missing"}
    bounds = await bus.bounds(name)
    days = "latest of each key" if spec.kind == "table" else f"{(spec.retention_ms or 0) // 86_400_000} d"
    return {
        "topic": name,
        "kind": spec.kind,
        "partitions": spec.partitions,
        "records": sum(end - first for first, end in bounds.values()),
        "kept": days,
        "state": _state(spec, wanted),
    }


def _state(spec: TopicSpec, wanted: TopicSpec | None) -> str:
    if wanted is None:
        return "not in this configuration"
    if spec.partitions != wanted.partitions:
        return f"configured with {wanted.partitions} partitions"
    return "ok"
