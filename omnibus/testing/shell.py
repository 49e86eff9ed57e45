"""Omnibus as an operator has it: a folder, commands run in it, and processes that are started and stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from omnibus.testing.ports import free_port

DEADLINE_S = 30.0
COMMAND = (sys.executable, "-m", "omnibus.cli.main")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output of a command that prints one JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def _as_in_a_terminal() -> None:
    """What starts the tests may ignore Ctrl-C (a job in the background does), and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Process:
    """A command that runs on; what it says on standard error is in a file."""

    process: asyncio.subprocess.Process
    log: Path
    said: list[str] = field(default_factory=list)

    async def says(self, words: str) -> str:
        """Read standard output up to the line with these words."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            while line := (await self.process.stdout.readline()).decode():
                self.said.append(line)
                if words in line:
                    return line
        raise AssertionError(f"it ended without saying {words!r}: {self.said} {self.log.read_text()}")

    async def stop(self, number: signal.Signals = signal.SIGINT) -> Ended:
        """Send a signal and wait for the end."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(DEADLINE_S):
            rest, _ = await self.process.communicate()
        return Ended(self.process.returncode or 0, "".join(self.said) + rest.decode(), self.log.read_text())


class Shell:
    """A folder to work in, and commands run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.env = {**os.environ, "NO_COLOR": "1", "PYTHONWARNINGS": "default::ResourceWarning"}
        self._started: list[Process] = []

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def configure(self, text: str) -> None:
        """Write omnibus.yaml; ``PORT`` in it is a free one."""
        self.write("omnibus.yaml", text.replace("PORT", str(self.port)))

    async def run(self, *arguments: str) -> Ended:
        """Run a command to its end."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            cwd=self.folder,
            env=self.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate()
        return Ended(process.returncode or 0, out.decode(), err.decode())

    async def ok(self, *arguments: str) -> Ended:
        """Run a command that must succeed."""
        ended = await self.run(*arguments)
        assert ended.code == 0, ended
        return ended

    async def start(self, *arguments: str) -> Process:
        log = self.folder / f"log-{len(self._started)}.txt"
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *COMMAND, *arguments, cwd=self.folder, env=self.env,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=file,
                preexec_fn=_as_in_a_terminal,
            )  # fmt: skip
        started = Process(process, log)
        self._started.append(started)
        return started

    async def up(self) -> Process:
        """``omnibus up``, once it says that it is."""
        process = await self.start("up")
        await process.says("Omnibus is up")
        return process

    async def send(self, account: str, body: Any, **headers: str) -> int:
        """A provider posts to the front door; the status it gets."""
        url = f"http://127.0.0.1:{self.port}/in/{account}"
        async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as response:
            await response.read()
            return response.status

    async def events(self, kind: str = "") -> list[dict[str, Any]]:
        """The unified events there are, of one kind or all."""
        ended = await self.ok("tail", "events", "--no-follow", "--json")
        return [event for event in ended.lines if event["headers"]["ce_type"].startswith(f"omnibus.{kind}")]

    async def settled(self) -> None:
        """Until everybody has processed everything."""

        async def nobody_is_behind() -> bool:
            readers = (await self.ok("topics", "--json")).json["readers"]
            return all(reader["behind"] == 0 for reader in readers)

        await eventually(nobody_is_behind)

    async def close(self) -> None:
        for process in self._started:
            if process.process.returncode is None:
                process.process.kill()
            await process.process.communicate()


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it holds."""
    ends = time.monotonic() + DEADLINE_S
    while not await holds():
        assert time.monotonic() < ends, f"not within {DEADLINE_S} s"
        await asyncio.sleep(0.05)
