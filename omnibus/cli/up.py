"""``omnibus up`` (every stage in one process) and ``omnibus run STAGE`` (one stage)."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from omnibus.cli.settings import config_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omnibus.config.model import Config
    from omnibus.runtime import Service

Configure = Callable[[], "Config"]
STAGES = ("connectors", "normalizer", "router", "sinks")


@click.command()
@config_options
def up(configure: Configure) -> None:
    """Start every stage in this process. Ctrl-C stops it cleanly; starting again finds every conversation.

    Without a configuration: a web chat, a webhook and a mail listener on localhost, two queues, and JSON lines files.
    """
    started = time.monotonic()
    work = serve(configure(), STAGES, announce=lambda config: _announce(config, started), reread=configure)
    run_until_stopped(work)


@click.command()
@click.argument("stage", type=click.Choice(STAGES))
@click.option("--health", "health", metavar="HOST:PORT", help="Serve /health and /metrics there.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes to start.")
@config_options
def run(configure: Configure, stage: str, health: str | None, workers: int) -> None:
    """Start one stage of the configuration, as a cluster runs them: any number of processes share the work.

    With several workers the first serves --health at its port, the next at the port after it, and so on.
    """
    started = time.monotonic()
    address = _address(health)
    if workers > 1:
        from omnibus.cli.workers import run_workers

        raise SystemExit(run_workers(workers, lambda number: _work(configure(), stage, address, number)))
    announce = partial(_announce_stage, stage=stage, started=started)
    run_until_stopped(serve(configure(), (stage,), health=address, announce=announce, reread=configure))


def _work(config: Config, stage: str, address: tuple[str, int] | None, number: int) -> None:
    """What each of several workers does."""
    mine = None if address is None else (address[0], address[1] + number)
    run_until_stopped(serve(config, (stage,), health=mine))


def _address(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        raise click.BadParameter(f"expected HOST:PORT, got {text!r}", param_hint="--health")
    return host or "127.0.0.1", int(port)


def run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the faster event loop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


async def serve(
    config: Config,
    stages: Sequence[str],
    *,
    announce: Callable[[Config], None] = lambda config: None,
    health: tuple[str, int] | None = None,
    reread: Configure | None = None,
) -> None:
    """Run these stages until SIGINT or SIGTERM, then drain them front to back within the configured time.

    On SIGHUP the configuration is read again (with `reread`), and the stages that can take a new one while they run do.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(running(config, stages, health=health))
        if reread is not None:
            await stack.enter_async_context(_reloading(reread, services))
        announce(config)
        await stopped.wait()


@asynccontextmanager
async def _reloading(reread: Configure, services: Sequence[Service]) -> AsyncIterator[None]:
    """Reads the configuration again whenever SIGHUP comes, one time after the other."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    async def whenever_asked() -> None:
        while await asked.wait():
            asked.clear()
            await _reload(reread, services)

    task = asyncio.create_task(whenever_asked())
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        task.cancel()
        await asyncio.wait([task])


async def _reload(reread: Configure, services: Sequence[Service]) -> None:
    """Take a new configuration where that is possible; one that is wrong changes nothing."""
    import structlog

    from omnibus.config.errors import ConfigErrors
    from omnibus.errors import OmnibusError

    log = structlog.get_logger("omnibus")
    try:
        config = reread()
        for one in services:
            if hasattr(one, "reload"):
                await one.reload(config)
    except (ConfigErrors, OmnibusError, OSError) as wrong:
        log.error("configuration not taken", why=str(wrong))
    else:
        log.info("configuration taken")


@asynccontextmanager
async def running(
    config: Config, stages: Sequence[str], *, health: tuple[str, int] | None = None
) -> AsyncIterator[Sequence[Service]]:
    """These stages, started; drained on the way out. The one way stages run: `up`, `run`, the demo and the tests."""
    from omnibus.cli import assemble, serving
    from omnibus.runtime import service, start_order
    from omnibus.telemetry import logs

    logs.configure(config.log.format, config.log.level)
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(assemble.open_runtime(config))
        services = [service(name)(runtime) for name in start_order(stages)]
        for one in services:
            if hasattr(one, "also_serve"):
                one.also_serve(lambda app: serving.add_operations(app, runtime, services))
                one.also_serve(lambda app: serving.add_api(app, runtime))
                one.also_serve(lambda app: serving.add_home(app, runtime))
        stack.push_async_callback(_drain, services, config.drain.total_seconds())
        for one in services:
            await one.start()
        if health is not None:
            operations = await serving.serve_operations(runtime, services, *health)
            stack.push_async_callback(operations.cleanup)
        yield services


async def _drain(services: Sequence[Service], deadline_s: float) -> None:
    """Front to back: no new work comes in, then each stage finishes what the one before it has handed over."""
    ends = time.monotonic() + deadline_s
    for one in reversed(services):
        await one.drain(max(1.0, (ends - time.monotonic()) / 2))


def _announce_stage(config: Config, stage: str, started: float) -> None:
    from omnibus.cli.welcome import welcome_stage

    welcome_stage(config, stage, time.monotonic() - started)


def _announce(config: Config, started: float) -> None:
    from omnibus.cli.welcome import welcome

    welcome(config, time.monotonic() - started)
