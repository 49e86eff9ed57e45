"""``omnibus channel list|show|test|replay``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from omnibus.channel.registry import discover
from omnibus.cli.console import json_option, out, print_json, print_table, show

if TYPE_CHECKING:
    from omnibus.channel.declaration import Channel


@click.group()
def channel() -> None:
    """Channels: what there is, what each can do, and its tests."""


@channel.command("list")
@json_option
def list_channels(as_json: bool) -> None:
    """Every channel this installation has."""
    found = discover()
    rows = [
        {
            "channel": name,
            "title": one.title,
            "receives": ", ".join(one.receive),
            "sends": ", ".join(sorted(one.capabilities.sends)),
            "problem": "",
        }
        for name, one in found.channels.items()
    ]
    broken = [
        {"channel": name, "title": "", "receives": "", "sends": "", "problem": why}
        for name, why in found.broken.items()
    ]
    show(rows + broken, as_json, "channels")


@channel.command("show")
@click.argument("name")
@json_option
def show_channel(name: str, as_json: bool) -> None:
    """A channel's capabilities and settings."""
    from omnibus.config.describe import settings_table

    one = discover().channel(name)
    capabilities = _capabilities(one)
    rows = [msgspec.to_builtins(row) for row in settings_table(one.settings)]
    if as_json:
        print_json({"channel": name, "docs": one.docs, "capabilities": capabilities, "settings": rows})
        return
    out.print(f"{one.title} ({name})  {one.docs}", markup=False)
    print_table("", ("capability", ""), [(key, _flat(value)) for key, value in capabilities.items()])
    show(rows, as_json=False)


def _capabilities(one: Channel) -> dict[str, Any]:
    plain = msgspec.to_builtins(one.capabilities)
    plain["emits"] = sorted(kind.__name__ for kind in one.emits)
    plain["receives"] = sorted(one.receive)
    return {key: sorted(value) if isinstance(value, list | set | frozenset) and key != "attachments" else value
            for key, value in plain.items()}  # fmt: skip


def _flat(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    if isinstance(value, dict):
        return " ".join(f"{key}={_flat(item)}" for key, item in value.items())
    return "" if value is None else str(value)


@channel.command("replay")
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def replay_files(name: str, files: tuple[Path, ...]) -> None:
    """Show the events in captured requests (`.raw.json` files), one JSON array for each."""
    from omnibus.channel.events import to_json
    from omnibus.testing.fixtures import read_raw

    one = discover().channel(name)
    for path in files:
        out.print(to_json(list(one.map(read_raw(path, one)))).decode(), markup=False)


@channel.command("test")
@click.argument("name")
@json_option
def test_channel(name: str, as_json: bool) -> int:
    """Run the contract suite over a channel: a folder here, an entry point, or any importable package."""
    from omnibus.testing import run_contract

    found = discover().channels
    report = run_contract(found[name].package if name in found else name)
    if as_json:
        print_json(msgspec.to_builtins(report))
    else:
        out.print(str(report), markup=False)
    return 0 if report.ok else 1
