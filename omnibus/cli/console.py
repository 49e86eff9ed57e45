"""How commands show things: tables for people, JSON for machines; colours only on a terminal, never with NO_COLOR."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar, cast

import click
import orjson
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

F = TypeVar("F", bound=Callable[..., Any])

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

GAP = 2
NARROWEST = 24
"""A column of sentences narrower than this is harder to read than one line for each value."""

# Controls, and the marks that turn the direction of text around: both let what a customer wrote redraw the terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def json_option(command: F) -> F:
    """``--json``: the command gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")(command)


def print_json(value: Any) -> None:
    """One JSON value on one line of standard output."""
    sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")
    sys.stdout.flush()


def printable(value: object) -> str:
    """The value on one line, with everything visible that a terminal would obey."""
    return "" if value is None else _CONTROL.sub(_visible, str(value))


def _visible(found: re.Match[str]) -> str:
    return " " if found[0] in "\t\n\r" else f"\\u{ord(found[0]):04x}"


def counted(number: int, noun: str) -> str:
    """``1 channel``, ``3 channels``, ``1,200 dead letters``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def print_table(
    title: str,
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Iterable[int] = (),
    wide: Iterable[int] | None = None,
) -> None:
    """A table. Columns whose index is in `right` are numbers, those in `wide` hold sentences (by default the last).

    Where a terminal is too narrow the sentences are wrapped; where that is not enough either, every row becomes a block
    of lines. What is not for a terminal is never wrapped, so that it can be cut and searched.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    if title:
        out.print(Text(title, style="bold"))
    folding = (len(head) - 1,) if wide is None else tuple(wide)
    widths = [max(cell_len(cell) for cell in column) for column in zip(head, *cells, strict=True)]
    fitted = _fitted(widths, folding, out.width if out.is_terminal else None)
    lines = _records(head, cells) if fitted is None else _lines(head, cells, fitted, frozenset(right))
    for line in lines:
        out.print(line)


def _fitted(widths: Sequence[int], wide: Sequence[int], room: int | None) -> list[int] | None:
    """The columns' widths within `room`, None when they do not fit."""
    if room is None or sum(widths) + GAP * (len(widths) - 1) <= room:
        return list(widths)
    left = room - GAP * (len(widths) - 1) - sum(width for index, width in enumerate(widths) if index not in wide)
    fitted = list(widths)
    for done, index in enumerate(sorted(wide, key=lambda index: widths[index])):
        fitted[index] = min(widths[index], max(0, left) // (len(wide) - done))
        left -= fitted[index]
    return fitted if all(fitted[index] >= min(widths[index], NARROWEST) for index in wide) and left >= 0 else None


def _lines(
    head: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], right: frozenset[int]
) -> Iterator[Text]:
    yield Text(_line(head, widths, right), style="bold")
    for row in rows:
        pieces = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
        for number in range(max(map(len, pieces))):
            yield Text(_line([piece[number] if number < len(piece) else "" for piece in pieces], widths, right))


def _line(cells: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    padded = []
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - cell_len(cell))
        padded.append(space + cell if index in right else cell + space)
    return (" " * GAP).join(padded).rstrip()


def _wrapped(cell: str, width: int) -> list[str]:
    if cell_len(cell) <= width:
        return [cell]
    return [line.plain.rstrip() for line in Text(cell).wrap(out, width)]


def _records(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Text]:
    """One block for each row: the first value is its heading, then the others that say something."""
    name_width = max(map(cell_len, head))
    for row in rows:
        yield Text(row[0], style="bold")
        for name, cell in zip(head[1:], row[1:], strict=True):
            for number, piece in enumerate(_wrapped(cell, max(NARROWEST, out.width - name_width - 4)) if cell else ()):
                label = name if number == 0 else ""
                yield Text.assemble("  ", (f"{label:<{name_width}}", "dim"), "  ", piece)


def show(
    rows: Sequence[Mapping[str, Any]],
    as_json: bool,
    title: str = "",
    right: Iterable[str] = (),
    wide: Iterable[str] | None = None,
) -> None:
    """Rows of equal keys, as a table or as a JSON list. Columns that are empty in every row are left out of tables."""
    if as_json:
        print_json(list(rows))
    elif not rows:
        out.print(f"{title}: none" if title else "nothing")
    else:
        head = [name for name in rows[0] if any(row[name] not in ("", None) for row in rows)]
        numbers = [head.index(name) for name in right if name in head]
        folding = None if wide is None else [head.index(name) for name in wide if name in head]
        print_table("", head, [[row[name] for name in head] for row in rows], right=numbers, wide=folding)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while something long is done, on a terminal only; call what it gives to advance."""
    if not err.is_terminal:
        yield lambda count: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def quiet_logs() -> None:
    """Only what an operator must see, on standard error: what a command prints is for the next program in the pipe."""
    from omnibus.telemetry import logs

    logs.configure("auto", "error", stream=cast(TextIO, _StandardError()))


class _StandardError:
    """Standard error as it is at the moment of writing."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()
