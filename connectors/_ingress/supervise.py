"""Keeps pollers, sockets and listeners running: started for each account, restarted with back-off when they fail."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from aiohttp import web

from connectors._ingress.tools import AccountTools
from omnibus.channel.declaration import Part
from omnibus.channel.receive import HttpReceiver, Receiver
from omnibus.channel.registry import load_part
from omnibus.errors import Fenced, Misconfigured, TryAgain
from omnibus.telemetry import facts

log = structlog.get_logger("omnibus.connectors")


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast failures are met with another try. A receiver that ran for `calm` starts counting anew."""

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=5)
    calm: timedelta = timedelta(minutes=1)
    stand_by: timedelta = timedelta(minutes=5)
    """Wait after another process took over: it is working, so there is no hurry to take the work back."""

    def wait(self, failures: int, jitter: float) -> float:
        """Seconds before the next try after that many failures in a row; `jitter` is in 0..1 (full jitter above half).

        Half of the wait is fixed and half random, so that many accounts of one provider do not come back together.
        """
        longest = self.longest.total_seconds()
        full = min(self.first.total_seconds() * 2.0 ** min(failures - 1, 30), longest)
        return full * (0.5 + jitter / 2)


@dataclass(kw_only=True)
class _Job:
    """One receiver instance at a time, for one account or, where the class is shared, for several."""

    name: str
    tools: Sequence[AccountTools]
    make: Callable[[], Receiver]
    failures: int = 0
    kept: Receiver | None = field(default=None)
    """An instance that serves HTTP is kept for good: the routes that are mounted are its own."""

    def receiver(self) -> Receiver:
        return self.kept if self.kept is not None else self.make()

    def pause(self, error: Misconfigured) -> None:
        for tools in self.tools:
            facts.emit(
                facts.ChannelPaused(
                    channel=tools.account.channel.name,
                    account=tools.account.name,
                    setting=error.setting,
                    why=error.why,
                )
            )

    def tell(self, state: Any, reason: str) -> None:
        for tools in self.tools:
            tools.status(state, reason)


class Supervisor:
    """Runs every receiver of the accounts it is given."""

    def __init__(
        self,
        *,
        pace: Pace | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pace = pace or Pace()
        self._sleep = sleep
        self._jitter = jitter
        self._monotonic = monotonic
        self._jobs: list[_Job] = []
        self._tasks: list[asyncio.Task[None]] = []

    def prepare(self, tools: Mapping[str, AccountTools]) -> Mapping[str, Sequence[web.AbstractRouteDef]]:
        """Load the receivers the accounts use and return the routes of those that serve HTTP, by account name.

        A part that cannot be imported disconnects its accounts and nobody else.
        """
        pages: dict[str, Sequence[web.AbstractRouteDef]] = {}
        for (_, part), members in _by_part(tools).items():
            try:
                made = load_part(members[0].account.channel, part)
                jobs = _jobs_of(made, part, members)
                pages.update(_pages_of(made, jobs))
            except Misconfigured as error:
                for member in members:
                    member.status("disconnected", str(error))
                continue
            self._jobs.extend(jobs)
        return pages

    def start(self) -> None:
        """Begin running what was prepared."""
        self._tasks = [asyncio.create_task(self._keep_running(job), name=job.name) for job in self._jobs]

    async def stop(self) -> None:
        """Cancel every receiver and wait until it has let go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _keep_running(self, job: _Job) -> None:
        while True:
            began = self._monotonic()
            try:
                await job.receiver().run()
                wait = self._failed(job, began, "the receiver ended by itself")
            except Misconfigured as error:
                job.pause(error)
                job.tell("disconnected", str(error))
                return
            except Fenced as error:
                job.tell("degraded", f"another process took over: {error}")
                wait = self._pace.stand_by.total_seconds()
            except TryAgain as error:
                wait = self._failed(job, began, str(error), error.after)
            except Exception as error:  # a bug in one receiver must not end it for good, nor touch the others
                log.exception("receiver.failed", receiver=job.name, error=type(error).__name__)
                wait = self._failed(job, began, type(error).__name__)
            await self._sleep(wait)

    def _failed(self, job: _Job, began: float, why: str, after: timedelta | None = None) -> float:
        calm = self._monotonic() - began >= self._pace.calm.total_seconds()
        job.failures = 1 if calm else job.failures + 1
        job.tell("degraded", why)
        asked = 0.0 if after is None else after.total_seconds()
        return max(asked, self._pace.wait(job.failures, self._jitter()))


def _by_part(tools: Mapping[str, AccountTools]) -> dict[tuple[str, Part], list[AccountTools]]:
    """The accounts that use each receiver class."""
    members: dict[tuple[str, Part], list[AccountTools]] = {}
    for account_tools in tools.values():
        channel = account_tools.account.channel
        for way in channel.ways_in(account_tools.account.settings).values():
            if isinstance(way, str):
                members.setdefault((channel.name, way), []).append(account_tools)
    return members


def _jobs_of(made: Any, part: Part, members: Sequence[AccountTools]) -> list[_Job]:
    channel = members[0].account.channel.name
    if getattr(made, "shared", False):
        return [_Job(name=f"{channel}{part}", tools=members, make=lambda: made(list(members)))]
    return [
        _Job(name=f"{channel}{part}/{member.account.name}", tools=[member], make=lambda own=member: made(own))  # type: ignore[misc]  # mypy cannot infer a lambda that binds the loop variable
        for member in members
    ]


def _pages_of(made: Any, jobs: Sequence[_Job]) -> dict[str, Sequence[web.AbstractRouteDef]]:
    if not hasattr(made, "routes"):
        return {}
    pages: dict[str, Sequence[web.AbstractRouteDef]] = {}
    for job in jobs:
        receiver: HttpReceiver = job.make()  # type: ignore[assignment]  # the class has `routes`: it is one
        job.kept = receiver
        for tools in job.tools:
            pages[tools.account.name] = receiver.routes()
    return pages
