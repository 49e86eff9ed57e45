"""``omnibus channel list|show|new|test|replay``."""

from __future__ import annotations

import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from omnibus.channel.level import level_of
from omnibus.channel.registry import HOME, discover
from omnibus.cli.console import counted, err, json_option, out, print_json, print_table, quiet_logs, show
from omnibus.errors import InvalidPayload, Misconfigured

if TYPE_CHECKING:
    from omnibus.channel.declaration import Channel
    from omnibus.testing.report import Finding, Report

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@click.group()
def channel() -> None:
    """Channels: what there is, what each can do; and one of your own: begin it, look at it, test it."""


@channel.command("list")
@json_option
def list_channels(as_json: bool) -> None:
    """Every channel this installation has."""
    found = discover()
    rows = [
        {
            "channel": name,
            "title": one.title,
            "level": level_of(one),
            "receives": ", ".join(sorted(one.receive)),
            "sends": ", ".join(sorted(one.capabilities.sends)),
            "problem": "",
        }
        for name, one in found.plugins.items()
    ]
    broken = [
        {"channel": name, "title": "", "level": "", "receives": "", "sends": "", "problem": why}
        for name, why in found.broken.items()
    ]
    show(rows + broken, as_json, "channels", wide=("sends", "problem"))


@channel.command("show")
@click.argument("name")
@json_option
def show_channel(name: str, as_json: bool) -> None:
    """What a channel can do, and the settings of its accounts."""
    from omnibus.config.describe import settings_table

    one = discover().get(name)
    capabilities = capabilities_of(one)
    rows = settings_table(one.settings)
    if as_json:
        settings = [msgspec.to_builtins(row) for row in rows]
        print_json({"channel": name, "title": one.title, "docs": one.docs,
                    "capabilities": capabilities, "settings": settings})  # fmt: skip
        return
    out.print(f"{one.title} ({name})\n{one.docs}\n", markup=False)
    print_table("", ("it", ""), [(key.replace("_", " "), flat(value)) for key, value in capabilities.items()])
    out.print()
    cells = [(row.name, "required" if row.required else row.default, row.type, row.description) for row in rows]
    print_table("", ("setting", "default", "is", "description"), cells, wide=(1, 2, 3))


def capabilities_of(one: Channel) -> dict[str, Any]:
    """What the channel declares, as plain data in a stable order; what says nothing is left out."""
    plain = msgspec.to_builtins(one.capabilities)
    plain["emits"] = [str(kind.__struct_config__.tag) for kind in one.emits]
    plain["receives"] = list(one.receive)
    plain["level"] = level_of(one)
    ordered = {key: value if key == "attachments" else _sorted(value) for key, value in plain.items()}
    return {key: value for key, value in ordered.items() if value not in (None, [], ())}


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list | set | frozenset) else value


def flat(value: Any) -> str:
    """A declared value for people."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(flat(item) for item in value)
        case {"mime": mime, "max_bytes": size}:
            return f"{mime} up to {size / 1_000_000:g} MB"
        case dict():
            return ", ".join(f"{key.replace('_', ' ')} {flat(item)}" for key, item in value.items())
    return str(value)


@channel.command("new")
@click.argument("name")
@click.option(
    "--dir", "home", type=click.Path(file_okay=False, path_type=Path), help="Folder to put it in; else connectors/."
)
@json_option
def new_channel(name: str, home: Path | None, as_json: bool) -> None:
    """Begin a channel: a folder with a webhook that works, its tests, and one fixture that waits for its mapping.

    NAME is the service's name in lower case (pigeon, pigeon_business). With --dir the folder may be in a repository of
    your own.
    """
    from omnibus.cli.scaffold import files_of

    if NAME.fullmatch(name) is None:
        raise Misconfigured("name", f"expected a lower-case noun such as pigeon or pigeon_business, got {name!r}")
    if name in discover().plugins:
        raise Misconfigured("name", f"there is a channel {name!r} already")
    folder = (home or _home()) / name
    if folder.exists():
        raise Misconfigured(str(folder), "is there already; nothing was written")
    files = files_of(name, f"{HOME}.{name}" if folder.parent.resolve() == _home() else name)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    if as_json:
        print_json({"folder": str(folder), "files": [str(path) for path in files]})
    else:
        _say_what_next(name, folder, files)


def _home() -> Path:
    return Path(next(iter(importlib.import_module(HOME).__path__))).resolve()


def _say_what_next(name: str, folder: Path, files: Any) -> None:
    out.print(f"{folder}/", style="bold", markup=False)
    for path in files:
        out.print(f"  {path}", markup=False)
    elsewhere = folder.parent.resolve() != _home()
    out.print("\nnext:", style="bold")
    out.print(f"  omnibus channel test {folder if elsewhere else name}", style="cyan", markup=False)
    out.print(
        "\nOne check fails: fixtures/place.raw.json is not mapped yet. Make it pass, then put in payloads of yours;"
    )
    out.print("docs/guide/first-channel.md goes on from there.")
    if elsewhere:
        out.print("\nSo that Omnibus finds it, declare in your pyproject.toml:")
        out.print(f'  [project.entry-points."omnibus.channels"]\n  {name} = "{name}"', style="cyan", markup=False)


@channel.command("replay")
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def replay_files(name: str, files: tuple[Path, ...], as_json: bool) -> int:
    """Show what captured requests (`.raw.json` files, as fixtures have them) become: their threads and events.

    NAME is a channel, or the path of a channel's folder. Exit code 1 when one cannot be read.
    """
    from omnibus.channel.registry import load_channel

    one = load_channel(package_of(name))
    results = [_replayed(one, path) for path in files]
    for result in results:
        if as_json:
            print_json(result)
        else:
            _print_replayed(result)
    return 1 if any("error" in result for result in results) else 0


def _replayed(one: Channel, path: Path) -> dict[str, Any]:
    from omnibus.channel.events import to_json
    from omnibus.testing.fixtures import RAW, load_fixture

    if not path.name.endswith(RAW):
        raise Misconfigured(str(path), f"expected a captured request, named like text{RAW}")
    try:
        raw = load_fixture(one, path.parent, path.name.removesuffix(RAW)).raw(one)
    except AssertionError as error:  # how the test tools say what is wrong with a file
        raise Misconfigured(str(path), str(error)) from error
    try:
        events = msgspec.json.decode(to_json(list(one.map(raw))))
        return {"file": str(path), "threads": list(one.threads(raw)), "events": events}
    except InvalidPayload as error:
        return {"file": str(path), "error": str(error)}


def _print_replayed(result: dict[str, Any]) -> None:
    out.print(result["file"], style="bold", markup=False)
    if "error" in result:
        out.print(f"dead letter: {result['error']}", markup=False)
        return
    out.print(f"threads: {', '.join(result['threads']) or 'none'}", markup=False)
    out.print(msgspec.json.format(msgspec.json.encode(result["events"])).decode(), markup=False)


@channel.command("test")
@click.argument("name")
@click.option("--update-fixtures", is_flag=True, help="Rewrite what fixtures expect; review the difference.")
@json_option
def test_channel(name: str, update_fixtures: bool, as_json: bool) -> int:
    """Run the contract suite over a channel: one of this installation, or the path of a folder.

    Exit code 1 when the channel does not keep the contract.
    """
    from omnibus.testing import run_contract

    quiet_logs()
    package = package_of(name)
    if err.is_terminal:
        with err.status(f"testing {package}"):
            report = run_contract(package, update=update_fixtures)
    else:
        report = run_contract(package, update=update_fixtures)
    if as_json:
        print_json({"package": package, "ok": report.ok, "findings": msgspec.to_builtins(report.findings)})
    else:
        _print_report(report)
    return 0 if report.ok else 1


def _print_report(report: Report) -> None:
    for line in _report_lines(report):
        out.print(line, markup=False)
    for problem in report.problems:
        out.print(f"\n{_title(problem)}", style="bold red", markup=False)
        out.print(problem.problem, markup=False)
    failed = len(report.problems)
    out.print(f"\n{report.package}: {counted(len(report.findings), 'check')}, {failed or 'none'} failed", style="bold")


def _report_lines(report: Report) -> Iterator[str]:
    counts = Counter(finding.statement for finding in report.findings)
    failed = Counter(finding.statement for finding in report.problems)
    for statement, count in counts.items():
        result = f"{failed[statement]} failed" if failed[statement] else "ok"
        yield f"{result:<10} {statement}" + (f" ({count})" if count > 1 else "")


def _title(finding: Finding) -> str:
    return finding.statement + (f": {finding.fixture}" if finding.fixture else "")


def package_of(name: str) -> str:
    """The package of a channel of this installation, or of the folder at a path (which is made importable)."""
    found = discover()
    if name in found.plugins:
        return found.plugins[name].package
    if name in found.broken:
        return f"{HOME}.{name}"  # the suite says what is broken
    folder = Path(name).resolve()
    if not (folder / "channel.py").is_file():
        raise Misconfigured("name", f"no channel {name!r}, and no folder with a channel.py; "
                            f"known: {', '.join(sorted(found.plugins))}")  # fmt: skip
    if folder.parent == _home():
        return f"{HOME}.{folder.name}"
    sys.path.insert(0, str(folder.parent))
    return folder.name
