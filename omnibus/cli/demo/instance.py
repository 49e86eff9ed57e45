"""The instance that the demo starts for itself: in a folder of its own, answers leading to servers of the demo."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, cast

from aiohttp import ClientError, ClientSession, ClientTimeout

from omnibus.cli.console import err
from omnibus.cli.demo.outside import mail_server, reply_server
from omnibus.cli.settings import configuration
from omnibus.cli.up import STAGES
from omnibus.errors import Misconfigured
from omnibus.testing.ports import free_port

if TYPE_CHECKING:
    from omnibus.bus.kafka import KafkaBus
    from omnibus.config.model import Config

START_S = 180
PARTITIONS = 6
_EMBEDDED = """sinks:
  files: {type: jsonl, from: [queue:billing, queue:general], folder: ./omnibus-data/queues}
"""
# A folder of files is written by one process at a time; several workers deliver to a server.
_CLUSTER = """sinks:
  desk:
    type: webhook
    from: [queue:billing, queue:general]
    url: "http://127.0.0.1:${DEMO_REPLY_PORT}/queues"
    secrets: ["${DEMO_SIGNATURE}"]
    allow_private: true
bus: %(bus)s
prefix: demo-%(run)s
partitions: %(partitions)s
"""


@dataclass(frozen=True)
class Place:
    """Where the instance runs: on the embedded bus in one process, or at `bus` with so many workers of each stage."""

    bus: str
    workers: int
    keep: bool


async def answers(config: Config) -> bool:
    """Whether an instance of this configuration runs and is ready."""
    return await _ready(config.http.host, config.http.port)


async def _ready(host: str, port: int) -> bool:
    url = f"http://{host}:{port}/health/ready"
    try:
        async with ClientSession(timeout=ClientTimeout(total=2)) as session, session.get(url) as answer:
            return answer.status == 200
    except (ClientError, TimeoutError):
        return False


@asynccontextmanager
async def own_instance(place: Place, heard: Callable[[str], None]) -> AsyncIterator[Config]:
    """A running instance; `heard` is told of every answer that arrives outside."""
    folder = Path(tempfile.mkdtemp(prefix="omnibus-demo-"))
    ports = {name: free_port() for name in ("HTTP", "SMTP", "REPLY", "MAIL")}
    env = {f"DEMO_{name}_PORT": str(port) for name, port in ports.items()}
    env["DEMO_SECRET"] = secrets.token_urlsafe(24)
    env["DEMO_SIGNATURE"] = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    path = folder / "omnibus.yaml"
    shared = files("omnibus.cli.demo").joinpath("demo.yaml").read_text("utf-8")
    path.write_text(shared + _rest_of_configuration(place), "utf-8")
    async with AsyncExitStack() as stack:
        stack.callback(_leave, folder, place.keep)
        await stack.enter_async_context(reply_server(ports["REPLY"], heard))
        await stack.enter_async_context(mail_server(ports["MAIL"], heard))
        with contextlib.chdir(folder):
            config = configuration(path, env=env)
            if place.bus:
                await _make_topics(config)
                stack.push_async_callback(_remove_topics, config, place.keep)
            health = [_free_row(place.workers) for _ in STAGES] if place.bus else []
            for command in _commands(place, health):
                await stack.enter_async_context(_process(command, folder, env))
            await _until_ready(config, [first + number for first in health for number in range(place.workers)])
            yield config


def _rest_of_configuration(place: Place) -> str:
    if not place.bus:
        return _EMBEDDED
    return _CLUSTER % {"bus": place.bus, "run": secrets.token_hex(4), "partitions": PARTITIONS}


def _commands(place: Place, ports: Sequence[int]) -> list[list[str]]:
    """What is started; each worker of a stage tells its health at one of the ports."""
    if not place.bus:
        return [["up"]]
    shared = ["--set", "http.reuse_port=true"] if place.workers > 1 else []
    return [
        ["run", stage, "--workers", str(place.workers), "--health", f"127.0.0.1:{port}", *shared]
        for stage, port in zip(STAGES, ports, strict=True)
    ]


async def _make_topics(config: Config) -> None:
    """Before the stages, of which each one would make what is missing."""
    from omnibus.cli.assemble import topic_specs

    async with _cluster(config) as bus:
        await bus.ensure_topics(topic_specs(config))


async def _remove_topics(config: Config, keep: bool) -> None:
    if not keep:
        async with _cluster(config) as bus:
            await bus.admin.delete([spec.name for spec in await bus.topics() if spec.name.startswith(config.prefix)])


@asynccontextmanager
async def _cluster(config: Config) -> AsyncIterator[KafkaBus]:
    from omnibus.bus.open import open_bus
    from omnibus.bus.topics import Topics

    bus = cast("KafkaBus", open_bus(config.bus, Topics(config.prefix), None, config.kafka))
    await bus.open()
    try:
        yield bus
    finally:
        await bus.close()


def _leave(folder: Path, keep: bool) -> None:
    if keep:
        err.print(f"data kept in {folder}", markup=False)
    else:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _process(command: list[str], folder: Path, env: Mapping[str, str]) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "omnibus.cli.main",
        *command,
        cwd=folder,
        env={**os.environ, **env},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_row(count: int) -> int:
    """The first of so many neighbouring ports that nobody uses just now."""
    while True:
        first = free_port()
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return first


async def _until_ready(config: Config, health: Sequence[int]) -> None:
    """Until the front door is open and every worker of every stage has its work."""
    deadline = time.monotonic() + START_S
    waiting = [(config.http.host, config.http.port), *(("127.0.0.1", port) for port in health)]
    while waiting:
        if time.monotonic() > deadline:
            raise Misconfigured("demo", f"the instance it started was not ready after {START_S} s")
        if await _ready(*waiting[0]):
            waiting.pop(0)
        else:
            await asyncio.sleep(0.1)
