"""``omnibus dead list|show|replay``: what could not be processed, why, and once more."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
import orjson
from msgspec.structs import replace

from omnibus import clock
from omnibus.blobs import open_blobs
from omnibus.cli.again import Again
from omnibus.cli.console import counted, err, json_option, out, print_json, print_table, printable, progress
from omnibus.cli.reading import full, place, records, size_of, time_of, with_bus
from omnibus.cli.settings import look_options
from omnibus.config.fields import parse_duration
from omnibus.errors import Misconfigured

if TYPE_CHECKING:
    from omnibus.bus.port import Bus, Record
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config

SHOWN_BYTES = 4_000


def _age(context: click.Context, option: click.Parameter, value: str | None) -> timedelta | None:
    """A duration as the configuration writes them."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, option) from None


@click.group()
def dead() -> None:
    """Dead letters: what could not be processed, and why. They are kept for 90 days, replayed or not."""


@dead.command("list")
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help="The newest.")
@click.option("--stage", help="Only this stage's or sink's.")
@click.option("--since", callback=_age, metavar="AGE", help="Only what arrived in the last 15m, 2h, 3d ...")
@json_option
@look_options
def list_letters(
    configure: Callable[[], Config], limit: int, stage: str | None, since: timedelta | None, as_json: bool
) -> None:
    """What could not be processed, the newest first, and how many there are for each reason."""

    async def work(bus: Bus, topics: Topics) -> tuple[list[Record], Counter[tuple[str, str]]]:
        kinds: Counter[tuple[str, str]] = Counter()
        newest: list[tuple[int, int, int, Record]] = []
        async for letter in _letters(bus, topics, stage, since):
            kinds[said(letter, "stage"), said(letter, "error")] += 1
            entry = (letter.ts_ms, letter.partition, letter.offset, letter)
            (heapq.heappush if len(newest) < limit else heapq.heappushpop)(newest, entry)
        return [entry[-1] for entry in sorted(newest, reverse=True)], kinds

    letters, kinds = with_bus(configure(), work)
    if as_json:
        print_json([_row(letter) for letter in letters])
    else:
        _print_list(letters, kinds)


def _print_list(letters: Sequence[Record], kinds: Counter[tuple[str, str]]) -> None:
    if not letters:
        out.print("no dead letters")
        return
    rows = [
        (place(letter), time_of(letter)[:19], said(letter, "stage"), f"{said(letter, 'error')}: {_reason(letter)}")
        for letter in letters
    ]
    print_table("", ("id", "received (UTC)", "stage", "why"), rows)
    out.print()
    if (older := kinds.total() - len(letters)) > 0:
        out.print(f"... and {older:,} older; -n shows more")
    for (stage, error), count in kinds.most_common():
        out.print(f"{count:>7,}  {printable(stage)}: {printable(error)}", markup=False)
    out.print(
        "\n`omnibus dead show ID` shows all of one; `omnibus dead replay` puts them back when the cause is mended"
    )


@dead.command("show")
@click.argument("letter_id", metavar="ID")
@json_option
@look_options
def show_letter(configure: Callable[[], Config], letter_id: str, as_json: bool) -> None:
    """All of one dead letter; ID is as `omnibus dead list` prints it. The customer's own words are in it."""

    async def work(bus: Bus, topics: Topics) -> Record:
        return await _find(bus, topics, letter_id)

    letter = with_bus(configure(), work)
    if as_json:
        print_json(full(letter))
        return
    facts = {
        "id": place(letter),
        "received": time_of(letter),
        "stage": said(letter, "stage"),
        "error": said(letter, "error"),
        "reason": said(letter, "reason"),
        "attempts": said(letter, "attempts"),
        "from": f"{said(letter, 'topic')} {said(letter, 'partition')}:{said(letter, 'offset')}",
        "key": (letter.key or b"").decode("utf-8", "replace").replace("\0", " / "),
    }
    for name, value in facts.items():
        out.print(f"{name:<10} {printable(value)}", markup=False)
    for title, text in _long_parts(letter):
        out.print(f"\n{title}", style="bold")
        out.print(text, markup=False)


def _long_parts(letter: Record) -> Iterator[tuple[str, str]]:
    headers = [f"{name:<20} {printable(v.decode('utf-8', 'replace'))}" for name, v in letter.headers if _own(name)]
    yield "headers", "\n".join(headers) or "none"
    if trace := said(letter, "traceback"):
        yield "traceback", "\n".join(map(printable, trace.splitlines()))
    yield "value", _value(letter)


def _value(letter: Record) -> str:
    text = orjson.dumps(full(letter)["value"], option=orjson.OPT_INDENT_2, default=str).decode()
    more = f"\n... {len(text):,} characters; --json shows all" if len(text) > SHOWN_BYTES else ""
    return "\n".join(map(printable, text[:SHOWN_BYTES].split("\n"))) + more


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every dead letter there is.")
@click.option("--stage", help="Every dead letter of this stage or sink.")
@click.option(
    "--since", callback=_age, metavar="AGE", help="With --all or --stage: only what arrived in the last 2h, 3d ..."
)
@click.option("--dry-run", is_flag=True, help="Count them, put nothing back.")
@json_option
@look_options
def replay(
    configure: Callable[[], Config],
    ids: tuple[str, ...],
    everything: bool,
    stage: str | None,
    since: timedelta | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put dead letters back where they came from: some by their IDS, all of a stage, or all.

    What did get through the first time is a copy and ignored, so replaying too much does no harm. A letter stays in the
    list; what fails again is listed again, with a new id.
    """
    if not (ids or everything or stage):
        raise click.UsageError("name the letters (`omnibus dead list` shows their ids), or give --stage or --all")
    config = configure()

    async def work(bus: Bus, topics: Topics) -> tuple[int, int, int]:
        again = Again(bus.publisher("cli"), topics, open_blobs(config.blobs), dry_run=dry_run)
        known = {spec.name for spec in await bus.topics()}
        letters = _named(bus, topics, ids) if ids else _letters(bus, topics, stage, since)
        chosen = lost = 0
        total = len(ids) or (None if stage or since else await size_of(bus, topics.dead_letters))
        with progress("putting back", total) as advance:
            async for letter in letters:
                advance(1)
                if said(letter, "topic") not in known:
                    lost += 1
                    continue
                chosen += 1
                await again.put_back(as_it_was(letter))
            await again.finish()
        return chosen, lost, again.records

    chosen, lost, written = with_bus(config, work)
    if as_json:
        print_json({"letters": chosen, "records": written, "not_possible": lost, "dry_run": dry_run})
        return
    done = "would be put back" if dry_run else f"put back as {counted(written, 'record')}"
    out.print(f"{counted(chosen, 'dead letter')} {done}")
    if lost:
        err.print(f"{counted(lost, 'dead letter')} cannot be put back: a timer's, or of a topic that is no more")


async def _letters(bus: Bus, topics: Topics, stage: str | None, since: timedelta | None) -> AsyncIterator[Record]:
    oldest_ms = 0 if since is None else clock.now_ms() - int(since.total_seconds() * 1000)
    if topics.dead_letters not in {spec.name for spec in await bus.topics()}:
        return
    async for batch in records(bus, topics.dead_letters):
        for letter in batch:
            if letter.ts_ms >= oldest_ms and stage in (None, said(letter, "stage")):
                yield letter


async def _named(bus: Bus, topics: Topics, ids: Sequence[str]) -> AsyncIterator[Record]:
    # All are looked for before the first is put back: a wrong id changes nothing.
    for letter in [await _find(bus, topics, one) for one in dict.fromkeys(ids)]:
        yield letter


def said(letter: Record, name: str) -> str:
    """What the stage that put the record aside says of it: stage, error, reason, attempts, topic ..."""
    return (letter.header(f"dead_{name}") or b"").decode("utf-8", "replace")


def _own(header: str) -> bool:
    return not header.startswith("dead_")


def _reason(letter: Record) -> str:
    reason = said(letter, "reason")
    return reason if len(reason) <= 160 else f"{reason[:157]}..."


def _row(letter: Record) -> dict[str, Any]:
    return {
        "id": place(letter),
        "at": time_of(letter),
        "stage": said(letter, "stage"),
        "error": said(letter, "error"),
        "reason": said(letter, "reason"),
        "attempts": int(said(letter, "attempts") or 0),
        "topic": said(letter, "topic"),
        "partition": int(said(letter, "partition") or 0),
        "offset": int(said(letter, "offset") or 0),
    }


async def _find(bus: Bus, topics: Topics, id_: str) -> Record:
    partition, _, offset = id_.partition(":")
    if partition.isdigit() and offset.isdigit() and topics.dead_letters in {spec.name for spec in await bus.topics()}:
        bounds = await bus.bounds(topics.dead_letters)
        found = await bus.read(topics.dead_letters, int(partition), int(offset), 1) if int(partition) in bounds else ()
        for record in found:
            if record.offset == int(offset):
                return record
    raise Misconfigured("id", f"no dead letter {id_!r}; `omnibus dead list` shows them as partition:offset")


def as_it_was(letter: Record) -> Record:
    """The record as it was when it could not be processed."""
    headers = tuple(pair for pair in letter.headers if _own(pair[0]))
    partition, offset = int(said(letter, "partition") or 0), int(said(letter, "offset") or 0)
    return replace(letter, topic=said(letter, "topic"), partition=partition, offset=offset, headers=headers)
