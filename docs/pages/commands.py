"""The command line, from click."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from docs.pages.markdown import NOTICE, REFERENCE, code, table
from omnibus.cli.main import COMMANDS, cli

_INTRO = """# Commands

Tables fit the terminal they are shown on; what is piped is never wrapped. `--json` prints one JSON value (a line for
each record with `omnibus tail`), `NO_COLOR` takes the colours away. Sentences about what is wrong go to standard error.

| exit code | means |
| --- | --- |
| 0 | done |
| 1 | the command worked, and what it looked at is not as it should be |
| 2 | wrong usage, a wrong configuration, or something that cannot be reached; nothing was done |
| 130 | interrupted |

"""


def pages() -> Iterator[tuple[Path, str]]:
    """The one page."""
    yield REFERENCE / "cli.md", (NOTICE + _INTRO + "".join(_all())).rstrip() + "\n"


def _all() -> Iterator[str]:
    context = click.Context(cli, info_name="omnibus")
    rows = [(f"[`omnibus {name}`](#{_anchor(f'omnibus {name}')})", text) for name, (_, text) in COMMANDS.items()]
    yield table(("command", "does"), rows) + "\n"
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield from _command(command, f"omnibus {name}")


def _anchor(title: str) -> str:
    return title.replace(" ", "-")


def _command(command: click.Command, path: str) -> Iterator[str]:
    yield f"## {path}\n\n{_paragraphs(command)}\n\n"
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _command(command.commands[name], f"{path} {name}")
        return
    yield code(_usage(command, path)) + "\n"
    options = [_option(parameter) for parameter in command.params if isinstance(parameter, click.Option)]
    if options:
        yield table(("option", "does", "default"), options) + "\n"


def _paragraphs(command: click.Command) -> str:
    text = (command.help or "").replace("\b", "")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _usage(command: click.Command, path: str) -> str:
    arguments = [_argument(parameter) for parameter in command.params if isinstance(parameter, click.Argument)]
    return " ".join([path, "[OPTIONS]", *arguments])


def _argument(argument: click.Argument) -> str:
    if isinstance(argument.type, click.Choice):
        name = "|".join(map(str, argument.type.choices))
    else:
        name = argument.metavar or (argument.name or "").upper()
    name = name if argument.required else f"[{name}]"
    return f"{name}..." if argument.nargs == -1 else name


def _option(option: click.Option) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len))
    value = "" if option.is_flag else f" {option.metavar or _value(option.type)}"
    default = f"`{option.default}`" if option.show_default else ""
    return names + value, option.help or "", default


def _value(kind: Any) -> str:
    match kind:
        case click.IntRange():
            return "INTEGER"
        case click.Choice():
            return "|".join(map(str, kind.choices))
        case click.DateTime():
            return "TIME (2026-01-05 or 2026-01-05T09:00:00)"
    return str(kind.name).upper()
