"""``omnibus bus``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from omnibus.bus.open import open_bus
from omnibus.bus.topics import Topics
from omnibus.cli.console import err, json_option, print_json
from omnibus.cli.reading import is_there
from omnibus.cli.settings import look_options
from omnibus.errors import Misconfigured

if TYPE_CHECKING:
    from omnibus.bus.kafka import KafkaBus
    from omnibus.config.model import Config


@click.group()
def bus() -> None:
    """Where records live."""


@bus.command()
@click.option("--to", "target", required=True, metavar="kafka://HOST:PORT", help="Where to move to; not used yet.")
@json_option
@look_options
def copy(configure: Callable[[], Config], target: str, as_json: bool) -> int:
    """Move an embedded installation to Kafka: records, state, timers, positions, cursors; then read it all back.

    Stop Omnibus first. Afterwards put the new address into the configuration and start. The embedded folder stays as it
    is. The blobs stay where they are. When it was interrupted, run it again: it goes on where it was.
    """
    config = configure()
    if not config.bus.startswith("embedded:") or not is_there(config.bus):
        raise Misconfigured("bus", f"there is no embedded bus at {config.bus}")
    if not target.startswith("kafka://"):
        raise Misconfigured("--to", f"expected kafka://host:port, got {target!r}")
    said = asyncio.run(_copy(config, target))
    if as_json:
        print_json(said)
    else:
        err.print(", ".join(f"{count} {what}" for what, count in said.items()), markup=False)
    return 1 if said["differences"] else 0


async def _copy(config: Config, target: str) -> dict[str, Any]:
    import msgspec

    from omnibus.bus.embedded.reader import Reader
    from omnibus.bus.embedded.schema import FILE
    from omnibus.bus.kafka.copy import Copy

    there = cast("KafkaBus", open_bus(target, Topics(config.prefix), None, config.kafka))
    reader = Reader(_file_of(config.bus, FILE))
    await there.open()
    try:
        copying = Copy(reader, there, lambda text: err.print(text, markup=False))
        began = time.monotonic()
        copied = await copying.run()
        differences = await copying.verify()
        if not differences:
            await copying.finish()
        seconds = round(time.monotonic() - began, 1)
    finally:
        await there.close()
        reader.close()
    return {**msgspec.structs.asdict(copied), "differences": differences, "seconds": seconds}


def _file_of(bus: str, name: str) -> Path:
    return Path(bus.removeprefix("embedded:")).expanduser() / name
