"""``omnibus dead list|show|replay``: what could not be processed, why, and once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from omnibus.bus.port import Out
from omnibus.cli.console import json_option, out, print_json, show
from omnibus.cli.reading import full, place, records, with_bus
from omnibus.cli.settings import config_options
from omnibus.errors import Misconfigured

if TYPE_CHECKING:
    from omnibus.bus.port import Bus, Record
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config

REPLAY_BATCH = 200


@click.group()
def dead() -> None:
    """Dead letters: records that could not be processed, with the reason."""


@dead.command("list")
@click.option("--stage", help="Only those of this stage or sink.")
@click.option("-n", "limit", type=click.IntRange(1), default=50, show_default=True, help="The newest so many.")
@json_option
@config_options
def list_letters(configure: Callable[[], Config], stage: str | None, limit: int, as_json: bool) -> None:
    """The newest dead letters."""

    async def work(bus: Bus, topics: Topics) -> list[dict[str, Any]]:
        letters = [record async for batch in records(bus, topics.dead_letters) for record in batch]
        chosen = [letter for letter in letters if stage in (None, _said(letter, "stage"))]
        chosen.sort(key=lambda letter: letter.ts_ms, reverse=True)
        return [_row(letter) for letter in chosen[:limit]]

    show(with_bus(configure(), work), as_json, "dead letters", right=("attempts",))


@dead.command("show")
@click.argument("id")
@json_option
@config_options
def show_letter(configure: Callable[[], Config], id: str, as_json: bool) -> None:  # noqa: A002 - the argument's name
    """All of one dead letter; ID is as `omnibus dead list` prints it."""

    async def work(bus: Bus, topics: Topics) -> Record:
        return await _find(bus, topics, id)

    letter = with_bus(configure(), work)
    if as_json:
        print_json(full(letter))
        return
    for name, value in letter.headers:
        out.print(f"{name:<20} {value.decode('utf-8', 'replace')}", markup=False)
    out.print(f"{'key':<20} {(letter.key or b'').decode('utf-8', 'replace')!r}", markup=False)
    out.print(f"{'value':<20} {(letter.value or b'')[:2_000].decode('utf-8', 'replace')}", markup=False)


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every dead letter there is.")
@click.option("--stage", help="Every dead letter of this stage or sink.")
@json_option
@config_options
def replay(
    configure: Callable[[], Config], ids: tuple[str, ...], everything: bool, stage: str | None, as_json: bool
) -> None:
    """Put dead letters back where they came from. What did get through the first time is a duplicate and ignored."""
    if not (ids or everything or stage):
        raise click.UsageError("name the letters (partition:offset), or --stage, or --all")

    async def work(bus: Bus, topics: Topics) -> int:
        if ids:
            chosen = [await _find(bus, topics, one) for one in ids]
        else:
            letters = [record async for batch in records(bus, topics.dead_letters) for record in batch]
            chosen = [letter for letter in letters if stage in (None, _said(letter, "stage"))]
        outs = [_back(letter) for letter in chosen if not _said(letter, "topic").startswith("timer:")]
        publisher = bus.publisher("cli")
        for start in range(0, len(outs), REPLAY_BATCH):
            await publisher.publish(outs[start : start + REPLAY_BATCH])
        return len(outs)

    count = with_bus(configure(), work)
    if as_json:
        print_json({"replayed": count})
    else:
        out.print(f"{count} dead letters put back")


def _said(letter: Record, name: str) -> str:
    return (letter.header(f"dead_{name}") or b"").decode("utf-8", "replace")


def _row(letter: Record) -> dict[str, Any]:
    return {
        "id": place(letter),
        "at": full(letter)["at"],
        "stage": _said(letter, "stage"),
        "error": _said(letter, "error"),
        "reason": _said(letter, "reason")[:160],
        "attempts": _said(letter, "attempts"),
        "from": f"{_said(letter, 'topic')} {_said(letter, 'partition')}:{_said(letter, 'offset')}",
    }


async def _find(bus: Bus, topics: Topics, id_: str) -> Record:
    partition, _, offset = id_.partition(":")
    if partition.isdigit() and offset.isdigit():
        for record in await bus.read(topics.dead_letters, int(partition), int(offset), 1):
            if record.offset == int(offset):
                return record
    raise Misconfigured("id", f"no dead letter {id_!r}; `omnibus dead list` shows them as partition:offset")


def _back(letter: Record) -> Out:
    """The record as it was; its partition is kept, because some topics are not partitioned by key."""
    headers = tuple(pair for pair in letter.headers if not pair[0].startswith("dead_"))
    return Out(
        topic=_said(letter, "topic"),
        key=letter.key,
        value=letter.value,
        headers=headers,
        partition=int(_said(letter, "partition") or 0),
        ts_ms=letter.ts_ms,
    )
