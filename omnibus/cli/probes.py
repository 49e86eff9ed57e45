"""Asks the other sides of an installation whether they would work with us; sends nothing to anybody."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, cast

import msgspec

from omnibus.blobs import open_blobs
from omnibus.bus.topics import Topics
from omnibus.channel.registry import load_part
from omnibus.channel.send import SenderTools
from omnibus.cli.assemble import accounts_of
from omnibus.cli.reading import is_there, opened
from omnibus.errors import Misconfigured, OmnibusError
from omnibus.http import Http
from omnibus.telemetry.redact import masked

if TYPE_CHECKING:
    from omnibus.channel.declaration import Account
    from omnibus.config.model import Config

PATIENCE_S = 15.0
PROBE_OF_SINK = "sinks._engine.probe:probe_of"
"""By name, because the kernel imports no sink."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking. `why` is what the other side said of itself, or what is wrong."""

    what: str
    result: Literal["ok", "failed", "no probe"]
    why: str = ""


Ask = Callable[[], Awaitable[str | None]]


async def probe_all(config: Config) -> list[Probe]:
    """The bus, every channel account and every sink, all at once and each for PATIENCE_S at most."""
    async with Http() as http:
        asks: list[tuple[str, Ask | None]] = [("bus", lambda: _bus(config))]
        asks += [
            (f"channel {account.name}", _account(config, http, account)) for account in accounts_of(config).values()
        ]
        asks += [(f"sink {name}", _sink(config, http, name)) for name in config.sinks]
        return list(await asyncio.gather(*(_probed(what, ask) for what, ask in asks)))


async def _probed(what: str, ask: Ask | None) -> Probe:
    if ask is None:
        return Probe(what=what, result="no probe")
    try:
        async with asyncio.timeout(PATIENCE_S):
            said = await ask()
    except _CannotAsk as error:
        return Probe(what=what, result="no probe", why=str(error))
    except TimeoutError:
        return Probe(what=what, result="failed", why=f"no answer within {PATIENCE_S:.0f} s")
    except (OmnibusError, OSError) as error:
        return Probe(what=what, result="failed", why=masked(str(error)))
    return Probe(what=what, result="ok", why=said or "")


async def _bus(config: Config) -> str:
    if not is_there(config.bus):
        return f"{config.bus} (made at the first start)"
    async with opened(config) as (bus, _):
        return f"{config.bus.rpartition('@')[2]}, {len(await bus.topics())} topics"


def _account(config: Config, http: Http, account: Account) -> Ask | None:
    """The account's sender, asked; None when the channel sends nothing or its sender knows no probe."""
    channel, send = account.channel, account.channel.send
    if send is None or not _has_probe(account, send):
        return None
    tools = SenderTools(account=account, http=http, blobs=open_blobs(config.blobs), topics=Topics(config.prefix))

    async def ask() -> str | None:
        sender_class = load_part(channel, send)
        try:
            sender = sender_class(tools)
        except Misconfigured as error:
            raise _CannotAsk(f"receives only: {error}") from error
        try:
            said: str | None = await sender.probe()
            return said
        finally:
            await sender.close()

    return ask


class _CannotAsk(Exception):
    """Nothing is wrong, but there is nobody to ask: an account may be meant to receive only."""


def _has_probe(account: Account, send: str) -> bool:
    try:
        return hasattr(load_part(account.channel, send), "probe")
    except OmnibusError:
        return True  # asking says why it cannot be imported


def _sink(config: Config, http: Http, name: str) -> Ask | None:
    """The sink's destination, asked; None when it knows no probe."""
    module, _, attribute = PROBE_OF_SINK.partition(":")
    probe_of = getattr(importlib.import_module(module), attribute)
    return cast("Ask | None", probe_of(config.sinks[name], Topics(config.prefix), http, open_blobs(config.blobs)))
