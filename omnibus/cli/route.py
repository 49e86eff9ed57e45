"""``omnibus route explain|test|simulate|pause|open``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from omnibus import clock
from omnibus.bus.partition import partition_of
from omnibus.cli.console import json_option, out, print_json, print_table, show
from omnibus.cli.reading import READ, existing, with_bus
from omnibus.cli.settings import configuration, look_options
from omnibus.config.fields import parse_duration
from omnibus.errors import Misconfigured
from omnibus.model import codec

if TYPE_CHECKING:
    from omnibus.bus.port import Bus, Record
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


MAX_RECORDED = 1_000_000
"""Records of one simulation: it is done in memory."""


def _moment(context: click.Context, option: click.Parameter, value: str) -> int:
    """A time (RFC 3339; without a zone, UTC), or an age such as 24h, as milliseconds."""
    try:
        return clock.now_ms() - int(parse_duration(value).total_seconds() * 1000)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        why = f"expected a time such as 2026-11-01T08:00 or an age such as 24h, got {value!r}"
        raise click.BadParameter(why, context, option) from None
    return clock.to_ms(at if at.tzinfo else at.replace(tzinfo=UTC))


@route.command()
@click.option("--rules", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Configuration with the candidate's routes, queues and calendars.")  # fmt: skip
@click.option("--from", "begin", default="24h", show_default=True, callback=_moment, help="Time, or age.")
@click.option("--to", "end", default="0s", show_default=True, callback=_moment, help="Time, or age.")
@json_option
@look_options
def simulate(configure: Callable[[], Config], rules: Path, begin: int, end: int, as_json: bool) -> None:
    """Replay recorded events through another configuration's rules, and print what would change. Publishes nothing."""
    from omnibus.cli.rules import simulated

    live, candidate = configure(), configuration(rules, make_secrets=False)

    async def work(bus: Bus, topics: Topics) -> list[Record]:
        return [record for topic in (topics.events, topics.commands, topics.outcomes)
                for record in await _recorded(bus, topic, begin, end)]  # fmt: skip

    found = simulated(live, candidate, with_bus(live, work))
    if as_json:
        print_json(found)
    else:
        _print_comparison(found)


async def _recorded(bus: Bus, topic: str, begin: int, end: int) -> list[Record]:
    found: list[Record] = []
    for partition, (offset, last) in sorted((await bus.bounds(topic)).items()):
        while offset < last and (batch := await bus.read(topic, partition, offset, READ)):
            found += [record for record in batch if begin <= record.ts_ms < end]
            offset = batch[-1].offset + 1
            if len(found) > MAX_RECORDED:
                raise Misconfigured("--from", f"more than {MAX_RECORDED:,} records; choose a shorter time")
    return found


def _print_comparison(found: Mapping[str, Any]) -> None:
    was, becomes = found["versions"]
    out.print(
        f"{found['conversations']:,} conversations in {found['records']:,} records: {found['moved']:,} would move",
        markup=False,
        style="bold",
    )
    out.print(f"in use {was}, candidate {becomes}", markup=False)
    for title, name in (("", "volume"), ("overflow", "overflow"), ("service levels", "sla"), ("", "priorities")):
        rows = [(key, one, other, other - one) for key, (one, other) in found[name].items()]
        if rows:
            print_table(title, (name, "in use", "candidate", "change"), rows, right=(1, 2, 3), wide=(0,))
    for name in ("rule_errors", "dead"):
        if any(found[name]):
            out.print(f"{name.replace('_', ' ')}: {found[name][0]} in use, {found[name][1]} candidate", markup=False)
    if found["sample"]:
        fields = ("conversation_id", "was", "becomes", "was_rule", "becomes_rule")
        moved = [tuple(entry[field] or "default" for field in fields) for entry in found["sample"]]
        print_table("sample", ("conversation", "in use", "candidate", "rule", "candidate's rule"), moved)


@route.command()
@click.argument("queue")
@json_option
@look_options
def pause(configure: Callable[[], Config], queue: str, as_json: bool) -> None:
    """New conversations go elsewhere until `omnibus route open`; those in the queue stay."""
    _set_paused(configure(), queue, as_json, paused=True)


@route.command("open")
@click.argument("queue")
@json_option
@look_options
def open_again(configure: Callable[[], Config], queue: str, as_json: bool) -> None:
    """A paused queue takes conversations again."""
    _set_paused(configure(), queue, as_json, paused=False)


def _set_paused(config: Config, queue: str, as_json: bool, *, paused: bool) -> None:
    from omnibus.cli.rules import pause_record

    if queue not in config.queues:
        raise Misconfigured("queue", f"no queue {queue!r}; known: {', '.join(sorted(config.queues))}")

    async def work(bus: Bus, topics: Topics) -> None:
        publisher = bus.publisher("cli")
        await publisher.publish([pause_record(topics, queue, paused=paused)])
        await publisher.close()

    with_bus(config, work)
    if as_json:
        print_json({"queue": queue, "paused": paused})
    else:
        out.print(f"{queue} {'is paused' if paused else 'takes conversations'}", markup=False)
