"""How commands show things: tables for people, JSON for machines; colours only on a terminal, never with NO_COLOR."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

F = TypeVar("F", bound=Callable[..., Any])

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)


def json_option(command: F) -> F:
    """``--json``: the command gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")(command)


def print_json(value: Any) -> None:
    """One JSON value on one line of standard output."""
    sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")


def print_table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[int] = ()
) -> None:
    """A table; columns whose index is in `right` are numbers."""
    aligned = set(right)
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, name in enumerate(head):
        table.add_column(name, justify="right" if index in aligned else "left", overflow="fold")
    for row in rows:
        # Text, because what a customer wrote must not be taken for markup.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    out.print(table)


def show(rows: Sequence[Mapping[str, Any]], as_json: bool, title: str = "", right: Iterable[str] = ()) -> None:
    """Rows of equal keys, as a table or as a JSON list."""
    if as_json:
        print_json(list(rows))
    elif not rows:
        out.print(f"{title}: none" if title else "nothing")
    else:
        head = list(rows[0])
        numbers = [head.index(name) for name in right if name in head]
        print_table(title, head, [list(row.values()) for row in rows], right=numbers)
