"""``omnibus check``: everything wrong in the configuration at once; ``--live`` also asks the other sides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from omnibus.cli.console import counted, json_option, out, print_json, quiet_logs, show
from omnibus.cli.settings import configuration, look_options
from omnibus.config.changes import needs_restart
from omnibus.config.errors import ConfigErrors

if TYPE_CHECKING:
    from omnibus.cli.probes import Probe
    from omnibus.config.errors import ConfigError
    from omnibus.config.model import Config


@click.command()
@click.option("--live", is_flag=True, help="Also ask the bus, and log in with every account and sink.")
@click.option(
    "--running",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The configuration in use: also say what of the new one a reload (SIGHUP) would leave to the next start.",
)
@json_option
@look_options
def check(configure: Callable[[], Config], live: bool, running: Path | None, as_json: bool) -> int:
    """Say what is wrong in the configuration: all of it, with file, line and column; the rules' conditions are
    compiled, too. Nothing is sent and nothing is changed.

    Exit code 2 when something is wrong, 1 when the configuration is fine but another side (--live) is not."""
    from omnibus.cli.rules import check_rules

    try:
        config = configure()
        check_rules(config)
    except ConfigErrors as errors:
        if not as_json:
            raise
        print_json({"ok": False, "errors": [_plain(error) for error in errors.errors], "probes": []})
        return 2
    later = () if running is None else needs_restart(configuration(running, make_secrets=False), config)
    if not as_json:
        out.print(f"the configuration is fine: {_contents(config)}")
        if running is not None:
            out.print(f"needs a restart: {', '.join(later)}" if later else "a reload takes all of it")
    probes = _probes(config) if live else []
    ok = all(probe.result != "failed" for probe in probes)
    rows = [msgspec.structs.asdict(probe) for probe in probes]
    if as_json:
        more = {} if running is None else {"needs_restart": list(later)}
        print_json({"ok": ok, "errors": [], "probes": rows, **more})
    elif live:
        show(rows, as_json=False)
    return 0 if ok else 1


def _probes(config: Config) -> list[Probe]:
    from omnibus.cli.probes import probe_all

    quiet_logs()
    return asyncio.run(probe_all(config))


def _contents(config: Config) -> str:
    sections = {
        "channel": config.channels,
        "queue": config.queues,
        "automation": config.automations,
        "route": config.routes,
        "sink": config.sinks,
    }
    return ", ".join(counted(len(section), noun) for noun, section in sections.items())


def _plain(error: ConfigError) -> dict[str, Any]:
    return {
        "file": error.mark.file,
        "line": error.mark.line or None,
        "column": error.mark.column or None,
        "path": error.path,
        "message": error.message,
        "hint": error.hint,
    }
