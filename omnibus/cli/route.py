"""``omnibus route explain|test``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from omnibus.bus.partition import partition_of
from omnibus.cli.console import json_option, out, print_json, print_table, show
from omnibus.cli.reading import READ, existing, with_bus
from omnibus.cli.settings import look_options
from omnibus.errors import Misconfigured
from omnibus.model import codec

if TYPE_CHECKING:
    from omnibus.bus.port import Bus
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config
    from omnibus.model.entities import RoutingDecision


@click.group()
def route() -> None:
    """Routing: why a conversation went where it went."""


@route.command()
@click.argument("conversation")
@json_option
@look_options
def explain(configure: Callable[[], Config], conversation: str, as_json: bool) -> None:
    """Every decision about a conversation: the rules looked at, what they saw, and what came of them."""

    async def work(bus: Bus, topics: Topics) -> list[RoutingDecision]:
        return await _decisions(bus, topics, conversation)

    decisions = with_bus(configure(), work)
    if not decisions:
        raise Misconfigured(
            "conversation", f"no decision about {conversation!r} in the log; `omnibus tail events --all` shows the ids"
        )
    if as_json:
        print_json([msgspec.to_builtins(decision) for decision in decisions])
        return
    for decision in decisions:
        _print(decision)


async def _decisions(bus: Bus, topics: Topics, conversation: str) -> list[RoutingDecision]:
    key = conversation.encode()
    bounds = await bus.bounds(await existing(bus, topics, topics.events))
    partition = partition_of(key, len(bounds))
    offset, end = bounds[partition]
    found = []
    while offset < end and (batch := await bus.read(topics.events, partition, offset, READ)):
        mine = [record for record in batch if record.key == key]
        events = [codec.decode(record) for record in mine if codec.type_of(record) == "omnibus.routing.decided.v1"]
        found += [event.data.decision for event in events]
        offset = batch[-1].offset + 1
    return found


def _print(decision: RoutingDecision) -> None:
    """What came of it, then why: the rules in their order, and what they looked at."""
    where = f"{decision.outcome} {decision.target or ''}".strip()
    rule = f"by rule {decision.rule or 'default'} (rules {decision.ruleset_version})"
    out.print(f"{where}, priority {decision.priority}, {rule}", markup=False, style="bold")
    print_table("", ("rule", "result", "why"), [(tried.target, tried.result, tried.why) for tried in decision.tried])
    print_table("", ("input", "value"), list(decision.inputs.items()))


@route.command("test")
@click.argument("examples", type=click.Path(exists=True, dir_okay=False), required=False)
@json_option
@look_options
def test_rules(configure: Callable[[], Config], examples: str | None, as_json: bool) -> int:
    """Run the examples written next to the rules (`given` -> `expect`), from EXAMPLES or omnibus.examples.yaml beside
    omnibus.yaml. Exit code 1 when one comes out otherwise."""
    from omnibus.cli.rules import run_examples

    results: list[dict[str, Any]] = run_examples(configure(), examples)
    show(results, as_json, "examples")
    return 0 if all(row["result"] == "ok" for row in results) else 1
