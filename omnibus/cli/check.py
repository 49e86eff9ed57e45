"""``omnibus check``: everything wrong in the configuration at once; ``--live`` also asks the other sides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from omnibus.cli.console import json_option, out, print_json, show
from omnibus.cli.settings import config_options
from omnibus.config.errors import ConfigErrors
from omnibus.errors import OmnibusError

if TYPE_CHECKING:
    from omnibus.channel.declaration import Account
    from omnibus.config.model import Config
    from omnibus.runtime import Runtime


@click.command()
@click.option("--live", is_flag=True, help="Also try the bus and every account's credentials.")
@json_option
@config_options
def check(configure: Callable[[], Config], live: bool, as_json: bool) -> int:
    """Say what is wrong in the configuration: all of it, with file and line. Exit code 2 when something is."""
    from omnibus.cli.rules import check_rules

    try:
        config = configure()
        check_rules(config)
    except ConfigErrors as errors:
        if not as_json:
            raise
        print_json({"ok": False, "errors": [str(error) for error in errors.errors]})
        return 2
    probes = asyncio.run(_probe(config)) if live else []
    ok = all(probe["result"] in ("ok", "no probe") for probe in probes)
    if as_json:
        print_json({"ok": ok, "errors": [], "probes": probes})
    else:
        counts = [
            f"{len(section)} {name}"
            for name, section in (
                ("channels", config.channels),
                ("queues", config.queues),
                ("automations", config.automations),
                ("routes", config.routes),
                ("sinks", config.sinks),
            )
        ]
        out.print(f"configuration is fine: {', '.join(counts)}")
        if live:
            show(probes, as_json=False)
    return 0 if ok else 2


async def _probe(config: Config) -> list[dict[str, Any]]:
    from omnibus.cli.assemble import open_runtime

    try:
        async with open_runtime(config) as runtime:
            accounts = [await _probe_account(runtime, account) for account in runtime.accounts.values()]
    except OmnibusError as error:
        return [{"what": "bus", "result": "failed", "why": str(error)}]
    return [{"what": "bus", "result": "ok", "why": config.bus}, *accounts]


async def _probe_account(runtime: Runtime, account: Account) -> dict[str, Any]:
    from omnibus.channel.registry import load_part
    from omnibus.channel.send import SenderTools

    row = {"what": f"channel {account.name}", "result": "no probe", "why": ""}
    if account.channel.send is None:
        return row
    tools = SenderTools(account=account, http=runtime.http, blobs=runtime.blobs, topics=runtime.topics)
    try:
        sender = load_part(account.channel, account.channel.send)(tools)
        try:
            if hasattr(sender, "probe"):
                await sender.probe()
                row["result"] = "ok"
        finally:
            await sender.close()
    except OmnibusError as error:
        row.update(result="failed", why=str(error))
    return row
