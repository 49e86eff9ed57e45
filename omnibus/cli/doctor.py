"""``omnibus doctor``: looks at this machine and this installation for what may go wrong."""

from __future__ import annotations

import resource
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from omnibus.cli.assemble import topic_specs
from omnibus.cli.console import json_option, show
from omnibus.cli.plugins import broken_of, declared
from omnibus.cli.reading import is_there, size_of, with_bus
from omnibus.cli.rules import check_rules
from omnibus.cli.settings import look_options
from omnibus.cli.topics import groups_of
from omnibus.config.errors import ConfigErrors
from omnibus.errors import OmnibusError

if TYPE_CHECKING:
    from omnibus.bus.port import Bus
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config

ENOUGH_BYTES = 2 * 1024**3
ENOUGH_FILES = 4_096
OPTIONAL = {"aiokafka": "kafka", "obstore": "blob", "eldc": "language detection"}


class Finding(NamedTuple):
    """One thing looked at."""

    what: str
    result: str
    why: str = ""


@click.command()
@json_option
@look_options
def doctor(configure: Callable[[], Config], as_json: bool) -> int:
    """Look for what may go wrong, on this machine and in this installation; changes nothing. Exit code 1 when something
    will."""
    findings = [*_machine(), *_installation(configure)]
    rows: list[dict[str, Any]] = [finding._asdict() for finding in findings]
    show(rows, as_json)
    return 1 if any(finding.result == "bad" for finding in findings) else 0


def _machine() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", "ok" if sys.version_info >= (3, 11) else "bad", version)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= ENOUGH_FILES
    why = f"{soft} at once" + (
        "" if enough else f"; every chat and connection takes one, raise it: ulimit -n {ENOUGH_FILES}"
    )
    yield Finding("open files", "ok" if enough else "warning", why)
    missing = [f"{name} ({use})" for name, use in OPTIONAL.items() if find_spec(name) is None]
    yield Finding("optional parts", "ok", f"not installed: {', '.join(missing)}" if missing else "all installed")


def _installation(configure: Callable[[], Config]) -> Iterator[Finding]:
    try:
        config = configure()
        check_rules(config)
    except ConfigErrors as errors:
        yield from (Finding("configuration", "bad", str(error)) for error in errors.errors)
        return
    file = config.where("channels").file
    yield Finding("configuration", "ok", f"{file}: {len(config.channels)} channels, {len(config.queues)} queues")
    yield from _plugins()
    yield _disk(config)
    yield _port(config)
    if not is_there(config.bus):
        yield Finding("bus", "ok", f"{config.bus} is empty; `omnibus up` makes it")
        return
    try:
        yield from with_bus(config, partial(_bus, config))
    except (OmnibusError, OSError) as error:
        yield Finding("bus", "bad", str(error))


def _plugins() -> Iterator[Finding]:
    for section in ("channels", "automations", "sinks"):
        found, broken = declared(section), broken_of(section)
        for name, reason in broken.items():
            yield Finding(section, "bad", f"{name} cannot be imported: {reason}")
        if not broken:
            yield Finding(section, "ok", f"{len(found)} kinds: {', '.join(sorted(found))}")


def _disk(config: Config) -> Finding:
    """The disk that the data is on; a folder that is not made yet will be on its parent's."""
    folder = Path(config.bus.removeprefix("embedded:") if config.bus.startswith("embedded:") else ".").expanduser()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    why = f"{free / 1024**3:.1f} GiB free at {folder.resolve()}"
    return Finding("disk", "ok" if free > ENOUGH_BYTES else "warning", why)


def _port(config: Config) -> Finding:
    host, port = config.http.host, config.http.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(1)
        taken = probe.connect_ex((host, port)) == 0
    state = "answers (Omnibus, or something else that is in its way)" if taken else "is free"
    return Finding("front door", "ok", f"{host}:{port} {state}")


async def _bus(config: Config, bus: Bus, topics: Topics) -> list[Finding]:
    there = {spec.name for spec in await bus.topics()}
    missing = [spec.name for spec in topic_specs(config) if spec.name not in there]
    findings = [Finding("bus", "ok", f"{config.bus.rpartition('@')[2]}, {len(there)} topics")]
    if missing:
        findings.append(Finding("topics", "warning", f"made at the next start: {', '.join(missing)}"))
    if topics.dead_letters in there:
        letters = await size_of(bus, topics.dead_letters)
        why = f"{letters:,} in the last 90 days; `omnibus dead list` says why" if letters else "none"
        findings.append(Finding("dead letters", "warning" if letters else "ok", why))
    behind = {name: sum((await bus.lag(name)).values()) for name in groups_of(config)}
    late = ", ".join(f"{name} {count:,}" for name, count in behind.items() if count)
    findings.append(Finding("behind", "warning" if late else "ok", late or "nobody"))
    return findings
