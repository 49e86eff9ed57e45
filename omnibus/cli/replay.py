"""``omnibus replay``: normalise stored raw events again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from omnibus import clock
from omnibus.bus.port import Out
from omnibus.cli.console import json_option, out, print_json
from omnibus.cli.reading import existing, records, with_bus
from omnibus.cli.settings import config_options

if TYPE_CHECKING:
    from omnibus.bus.port import Bus, Record
    from omnibus.bus.topics import Topics
    from omnibus.config.model import Config

FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


@click.command()
@click.argument("channel")
@click.option("--account", help="Only this account's.")
@click.option("--from", "since", type=click.DateTime(FORMATS), help="Received at or after this time (UTC).")
@click.option("--to", "until", type=click.DateTime(FORMATS), help="Received before this time (UTC).")
@click.option("--dry-run", is_flag=True, help="Count them, put nothing back.")
@json_option
@config_options
def replay(
    configure: Callable[[], Config],
    channel: str,
    account: str | None,
    since: datetime | None,
    until: datetime | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put a channel's raw events through the normalizer again, after its mapping was mended.

    Ids are deterministic: whatever was understood the first time is a duplicate and changes nothing downstream.
    """
    first = None if since is None else _utc_ms(since)
    last = None if until is None else _utc_ms(until)

    async def work(bus: Bus, topics: Topics) -> int:
        topic = await existing(bus, topics.raw(channel))
        publisher = bus.publisher("cli")
        count = 0
        async for batch in records(bus, topic):
            chosen = [_again(record) for record in batch if _wanted(record, account, first, last)]
            count += len(chosen)
            if chosen and not dry_run:
                await publisher.publish(chosen)
        return count

    count = with_bus(configure(), work)
    if as_json:
        print_json({"raw_events": count, "dry_run": dry_run})
    else:
        out.print(f"{count} raw events {'would be' if dry_run else 'were'} put back")


def _utc_ms(at: datetime) -> int:
    return clock.to_ms(at.replace(tzinfo=clock.now().tzinfo))


def _wanted(record: Record, account: str | None, first: int | None, last: int | None) -> bool:
    if account is not None and (record.key or b"").partition(b"\0")[0] != account.encode():
        return False
    return (first is None or record.ts_ms >= first) and (last is None or record.ts_ms < last)


def _again(record: Record) -> Out:
    return Out(record.topic, record.key, record.value, record.headers, record.partition, record.ts_ms)
