"""``omnibus topics``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from omnibus.cli.console import json_option, out, print_json, print_table, show
from omnibus.cli.reading import with_bus
from omnibus.cli.settings import look_options
from omnibus.cli.topics_plan import apply, check, plan

if TYPE_CHECKING:
    from omnibus.bus.port import Bus, TopicSpec
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config


@click.group(invoke_without_command=True)
@json_option
@look_options
@click.pass_context
def topics(context: click.Context, configure: Callable[[], Config], as_json: bool) -> None:
    """The topics there are: how many records, for how long, which of the configuration's are missing; and how many
    records every stage and sink has still to process."""
    if context.invoked_subcommand is not None:
        return
    config = configure()

    async def work(bus: Bus, _: Topics) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        from omnibus.cli.assemble import topic_specs

        there = {spec.name: spec for spec in await bus.topics()}
        wanted = {spec.name: spec for spec in topic_specs(config)}
        rows = [await _row(bus, name, there.get(name), wanted.get(name)) for name in sorted({*there, *wanted})]
        return rows, [await _reader(bus, group) for group in groups_of(config)]

    rows, readers = with_bus(config, work)
    if as_json:
        print_json({"topics": rows, "readers": readers})
        return
    show(rows, as_json=False, title="topics", right=("partitions", "records"))
    out.print()
    lines = [(reader["reader"], f"{reader['behind']:,}", _furthest(reader["by_topic"])) for reader in readers]
    print_table("", ("reader", "behind", "mostly in"), lines, right=(1,))


topics.add_command(plan)
topics.add_command(apply)
topics.add_command(check)


def groups_of(config: Config) -> list[str]:
    """Everybody who works through topics: stages, automations, sinks."""
    replies = sorted({account.type for account in config.channels.values()})
    return [
        "normalizer",
        "router",
        "normalizer.media",
        *(f"automation.{name}" for name in config.automations),
        *(f"sink.{name}" for name, sink in config.sinks.items() if sink.type != "channel_reply"),
        *(f"sink.channel_reply.{channel}" for channel in replies),
    ]


async def _row(bus: Bus, name: str, spec: TopicSpec | None, wanted: TopicSpec | None) -> dict[str, Any]:
    if spec is None:
        return {"topic": name, "kind": "", "partitions": "", "records": "", "kept": "", "state": "missing"}
    bounds = await bus.bounds(name)
    return {
        "topic": name,
        "kind": spec.kind,
        "partitions": spec.partitions,
        "records": sum(end - first for first, end in bounds.values()),
        "kept": "latest" if spec.kind == "table" else f"{(spec.retention_ms or 0) // 86_400_000} d",
        "state": _state(spec, wanted),
    }


def _state(spec: TopicSpec, wanted: TopicSpec | None) -> str:
    if wanted is None:
        return "not in this configuration"
    if spec.partitions != wanted.partitions:
        return f"configured with {wanted.partitions} partitions"
    return "ok"


async def _reader(bus: Bus, group: str) -> dict[str, Any]:
    by_topic: dict[str, int] = {}
    for (topic, _), count in (await bus.lag(group)).items():
        by_topic[topic] = by_topic.get(topic, 0) + count
    return {"reader": group, "behind": sum(by_topic.values()), "by_topic": by_topic}


def _furthest(by_topic: dict[str, int]) -> str:
    if not by_topic:
        return "(has not run yet)"
    topic = max(by_topic, key=lambda name: by_topic[name])
    return topic if by_topic[topic] else ""
