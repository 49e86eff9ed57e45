"""``omnibus topics plan|apply|check``: the topics as the configuration needs them, against those of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import click

from omnibus.cli.console import err, json_option, show
from omnibus.cli.reading import with_bus
from omnibus.cli.settings import look_options

if TYPE_CHECKING:
    from omnibus.bus.kafka import KafkaBus
    from omnibus.bus.port import Bus, TopicSpec
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config

_GOOD = "ok"


@click.command()
@json_option
@look_options
def plan(configure: Callable[[], Config], as_json: bool) -> None:
    """What `apply` would do: every topic with partitions, replicas, min.insync.replicas, retention and cleanup."""
    show(_compared(configure()), as_json, "topics", right=("partitions", "replicas", "in_sync"))


@click.command()
@json_option
@look_options
def check(configure: Callable[[], Config], as_json: bool) -> int:
    """Exit code 1 when a topic is missing or not as the configuration needs it."""
    wrong = [row for row in _compared(configure()) if row["state"] != _GOOD]
    show(wrong, as_json, "not as they should be", right=("partitions", "replicas", "in_sync"))
    return 1 if wrong else 0


@click.command()
@json_option
@look_options
def apply(configure: Callable[[], Config], as_json: bool) -> int:
    """Make missing topics and set what can be set; exit code 1 when something is left that needs other topics."""
    config = configure()
    if not config.bus.startswith("kafka:"):
        with_bus(config, lambda bus, _: bus.ensure_topics(wanted(config)))
    else:
        with_bus(config, lambda bus, _: _apply(config, cast("KafkaBus", bus)))
    left = [row for row in _compared(config) if row["state"] != _GOOD]
    for row in left:
        err.print(f"{row['topic']}: {row['state']}", markup=False)
    show(_compared(config), as_json, "topics", right=("partitions", "replicas", "in_sync"))
    return 1 if left else 0


async def _apply(config: Config, bus: KafkaBus) -> None:
    specs = wanted(config)
    there = {found.spec.name: found for found in await bus.admin.topics([spec.name for spec in specs])}
    missing = [spec for spec in specs if spec.name not in there]
    if missing:
        await bus.admin.create(missing)
    for spec in specs:
        if spec.name in there and any(d.mendable for d in bus.admin.differences(spec, there[spec.name])):
            await bus.admin.mend(spec, there[spec.name])


def wanted(config: Config) -> list[TopicSpec]:
    """Every topic the configuration needs; on Kafka the changelogs of all stages and sinks too."""
    from omnibus.cli.assemble import topic_specs
    from omnibus.cli.topics import groups_of

    specs = topic_specs(config)
    if config.bus.startswith("kafka:"):
        from omnibus.bus.kafka.core import state_spec
        from omnibus.bus.kafka.cursors import NAME

        application = config.kafka.application or config.prefix
        specs += [state_spec(application, group, config.partitions) for group in groups_of(config)]
        specs.append(state_spec(application, NAME, 1))
    return specs


def _compared(config: Config) -> list[dict[str, Any]]:
    specs = sorted(wanted(config), key=lambda spec: spec.name)

    async def on_kafka(bus: Bus, _: Topics) -> list[dict[str, Any]]:
        admin = cast("KafkaBus", bus).admin
        there = {found.spec.name: found for found in await admin.topics([spec.name for spec in specs])}
        rows = []
        for spec in specs:
            found = there.get(spec.name)
            replicas = admin.replicas() if found is None else found.replicas
            in_sync = admin.wanted_configs(spec, replicas)["min.insync.replicas"]
            state = "will be made" if found is None else _state([str(d) for d in admin.differences(spec, found)])
            rows.append(_row(spec, state) | {"replicas": replicas, "in_sync": int(in_sync), "state": state})
        return rows

    async def embedded(bus: Bus, _: Topics) -> list[dict[str, Any]]:
        there = {spec.name: spec for spec in await bus.topics()}
        return [_row(spec, _embedded_state(spec, there.get(spec.name))) for spec in specs]

    return with_bus(config, on_kafka if config.bus.startswith("kafka:") else embedded)


def _embedded_state(spec: TopicSpec, found: TopicSpec | None) -> str:
    if found is None:
        return "will be made"
    return _GOOD if found.partitions == spec.partitions else f"has {found.partitions} partitions"


def _state(differences: list[str]) -> str:
    return "; ".join(text.partition(": ")[2] for text in differences) or _GOOD


def _row(spec: TopicSpec, state: str) -> dict[str, Any]:
    kept = "latest of each key" if spec.kind == "table" else f"{(spec.retention_ms or 0) // 86_400_000} d"
    return {"topic": spec.name, "partitions": spec.partitions, "kept": kept, "state": state}
