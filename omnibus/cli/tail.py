"""``omnibus tail TOPIC``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from omnibus.cli.console import err, json_option, out, print_json, printable
from omnibus.cli.reading import described, existing, full, in_time, with_bus
from omnibus.cli.settings import look_options

if TYPE_CHECKING:
    from omnibus.bus.port import Bus, Record
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config

WIDE = 120
"""Columns that a terminal needs to show a conversation's whole id and still some of the words."""


@click.command()
@click.argument("topic")
@click.option("--all", "everything", is_flag=True, help="Begin with everything the topic holds.")
@click.option("--no-follow", is_flag=True, help="Stop at the end instead of waiting for more.")
@click.option("-n", "limit", type=click.IntRange(1), help="Stop after so many records.")
@json_option
@look_options
def tail(
    configure: Callable[[], Config], topic: str, everything: bool, no_follow: bool, limit: int | None, as_json: bool
) -> None:
    """Show a topic's records as they come, until Ctrl-C: `omnibus tail omnibus.events`, or just `events`.

    Takes no part in the work: everybody else still gets every record. The words of customers are shown.
    """
    show = _Shown(as_json, limit)

    async def work(bus: Bus, topics: Topics) -> None:
        name = await existing(bus, topics, topic)
        bounds = await bus.bounds(name)
        if everything or no_follow:
            async for record in in_time(bus, name):
                if not show([record]):
                    return
        if no_follow:
            return
        if err.is_terminal:
            err.print(f"waiting for records of {name}; Ctrl-C stops", style="dim")
        async for batch in bus.follow(name, {partition: end for partition, (_, end) in bounds.items()}):
            if not show(batch):
                return

    try:
        with_bus(configure(), work)
    except KeyboardInterrupt:
        return


class _Shown:
    """Prints records and counts them; calling it is False when there are enough."""

    def __init__(self, as_json: bool, limit: int | None) -> None:
        self._as_json = as_json
        self._left = limit

    def __call__(self, batch: Sequence[Record]) -> bool:
        for record in batch:
            if self._left == 0:
                return False
            self._print(record)
            if self._left is not None:
                self._left -= 1
        return self._left != 0

    def _print(self, record: Record) -> None:
        if self._as_json:
            print_json(full(record))
            return
        line = described(record)
        if not out.is_terminal:
            out.print(f"{_head(line, 40)} {printable(line['says'])}", markup=False, crop=False)
            return
        text = f"{_head(line, 40 if out.width >= WIDE else 13)} {printable(line['says'])}"
        out.print(text, markup=False, overflow="ellipsis", no_wrap=True, soft_wrap=False)


def _head(line: Mapping[str, str], key_width: int) -> str:
    """When, where, what, and of which conversation: its id in full where there is room."""
    key = line["key"] if len(line["key"]) <= key_width else f"{line['key'][: key_width - 1]}…"
    return f"{line['at'][11:23]} {line['place']:>6} {line['type']:<21} {printable(key):<{key_width}}"
