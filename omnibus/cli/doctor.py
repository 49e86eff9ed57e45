"""``omnibus doctor``: looks at this machine and this installation for what may go wrong."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from omnibus.cli.console import json_option, show
from omnibus.cli.reading import with_bus
from omnibus.cli.settings import config_options
from omnibus.errors import OmnibusError

if TYPE_CHECKING:
    from omnibus.bus.port import Bus
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config

ENOUGH_BYTES = 2 * 1024**3
OPTIONAL = {"aiokafka": "kafka", "obstore": "blob", "nh3": "html", "eldc": "language detection"}


class Finding(NamedTuple):
    """One thing looked at."""

    what: str
    result: str
    why: str = ""


@click.command()
@json_option
@config_options
def doctor(configure: Callable[[], Config], as_json: bool) -> int:
    """Look for what may go wrong; exit code 1 when something will."""
    findings = [*_machine(), *_installation(configure)]
    rows: list[dict[str, Any]] = [finding._asdict() for finding in findings]
    show(rows, as_json)
    return 1 if any(finding.result == "bad" for finding in findings) else 0


def _machine() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", "ok" if sys.version_info >= (3, 11) else "bad", version)
    free = shutil.disk_usage(Path.cwd()).free
    yield Finding("disk", "ok" if free > ENOUGH_BYTES else "warning", f"{free / 1024**3:.1f} GiB free here")
    missing = [f"{name} ({use})" for name, use in OPTIONAL.items() if find_spec(name) is None]
    yield Finding("optional parts", "ok", f"not installed: {', '.join(missing)}" if missing else "all installed")


def _installation(configure: Callable[[], Config]) -> Iterator[Finding]:
    try:
        config = configure()
    except OmnibusError as error:
        yield Finding("configuration", "bad", str(error))
        return
    yield Finding("configuration", "ok", f"{len(config.channels)} channels, {len(config.queues)} queues")
    yield _channels()
    yield _port(config)
    try:
        yield from with_bus(config, _bus)
    except OmnibusError as error:
        yield Finding("bus", "bad", str(error))


def _channels() -> Finding:
    from omnibus.channel.registry import discover

    broken = discover().broken
    why = "; ".join(f"{name}: {reason}" for name, reason in broken.items())
    return Finding("channels", "bad" if broken else "ok", why or f"{len(discover().channels)} found")


def _port(config: Config) -> Finding:
    with socket.socket() as probe:
        probe.settimeout(1)
        taken = probe.connect_ex((config.http.host, config.http.port)) == 0
    where = f"{config.http.host}:{config.http.port}"
    return Finding("front door", "ok", f"{where} {'answers (Omnibus or something else runs)' if taken else 'is free'}")


async def _bus(bus: Bus, topics: Topics) -> list[Finding]:
    there = {spec.name for spec in await bus.topics()}
    if topics.dead_letters not in there:
        return [Finding("bus", "ok", "empty; `omnibus up` makes the topics")]
    letters = sum(end - first for first, end in (await bus.bounds(topics.dead_letters)).values())
    behind = {name: sum((await bus.lag(name)).values()) for name in ("normalizer", "router")}
    late = ", ".join(f"{name} {count}" for name, count in behind.items() if count)
    return [
        Finding("bus", "ok", f"{len(there)} topics"),
        Finding(
            "dead letters", "warning" if letters else "ok", f"{letters}; see `omnibus dead list`" if letters else ""
        ),
        Finding("behind", "warning" if late else "ok", late),
    ]
