"""``omnibus replay``: normalise stored raw events again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from omnibus import clock
from omnibus.blobs import open_blobs
from omnibus.channel.registry import find
from omnibus.cli.again import Again
from omnibus.cli.console import counted, json_option, out, print_json, progress
from omnibus.cli.reading import existing, records, size_of, with_bus
from omnibus.cli.settings import look_options

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
@look_options
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

    Ids are deterministic: whatever was understood the first time is a copy and changes nothing downstream. Restart the
    normalizer first, so that it runs the mended mapping.
    """
    config = configure()
    find(channel)  # the name of an account is a common slip: say which channels there are
    first = None if since is None else _utc_ms(since)
    last = None if until is None else _utc_ms(until)

    async def work(bus: Bus, topics: Topics) -> Again:
        topic = await existing(bus, topics, topics.raw(channel))
        again = Again(bus.publisher("cli"), topics, open_blobs(config.blobs), dry_run=dry_run)
        with progress(f"replaying {channel}", await size_of(bus, topic)) as advance:
            async for batch in records(bus, topic):
                for record in batch:
                    if _wanted(record, account, first, last):
                        await again.put_back(record)
                advance(len(batch))
            await again.finish()
        return again

    again = with_bus(config, work)
    if as_json:
        print_json({"requests": again.requests, "records": again.records, "dry_run": dry_run})
        return
    done = "would be put back" if dry_run else "put back; `omnibus topics` shows how far the normalizer is"
    out.print(f"{counted(again.requests, 'request')} ({counted(again.records, 'record')}) {done}")


def _utc_ms(at: datetime) -> int:
    return clock.to_ms(at.replace(tzinfo=UTC))


def _wanted(record: Record, account: str | None, first: int | None, last: int | None) -> bool:
    if account is not None and (record.header("ce_source") or b"").rpartition(b"/")[2] != account.encode():
        return False
    return (first is None or record.ts_ms >= first) and (last is None or record.ts_ms < last)
