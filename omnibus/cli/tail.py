"""``omnibus tail TOPIC``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from omnibus.cli.console import err, json_option, out, print_json, printable
from omnibus.cli.reading import described, existing, full, records, with_bus
from omnibus.cli.settings import look_options

if TYPE_CHECKING:
    from omnibus.bus.port import Bus, Record
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config


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
            async for batch in records(bus, name):
                if not show(batch):
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
        head = f"{line['at'][11:23]} {line['place']:>8} {line['type']:<22} {line['key'][:40]:<40} "
        out.print(f"{head}{printable(line['says'])}", markup=False, overflow="ellipsis", no_wrap=True)
