"""Receivers are kept running, and let go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from aiohttp import web

from connectors._ingress.supervise import Pace, Supervisor
from connectors.webhook.channel import CHANNEL
from omnibus.channel.declaration import Channel
from omnibus.errors import Fenced, Misconfigured, TryAgain

Told = list[tuple[str, str, str]]
Tools = Callable[..., Any]


class Naps:
    """Sleeps that end when told to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.begun = asyncio.Event()
        self._go = asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.begun.set()
        await self._go.acquire()

    async def until(self, count: int) -> None:
        """Let it sleep until the `count`-th nap has begun, ending those before."""
        while True:
            await self.begun.wait()
            self.begun.clear()
            if len(self.asked) >= count:
                return
            self._go.release()


class Failing:
    """A receiver that raises what is next in the list, and then runs on."""

    plan: ClassVar[list[Exception | None]] = []
    made: ClassVar[list[Failing]] = []
    running: ClassVar[asyncio.Event]

    def __init__(self, tools: Any) -> None:
        self.tools = tools
        type(self).made.append(self)

    async def run(self) -> None:
        if self.plan:
            step = self.plan.pop(0)
            if step is not None:
                raise step
            return
        self.tools.status("ok")
        self.running.set()
        await asyncio.Event().wait()


class Shared(Failing):
    """One instance for all accounts."""

    shared = True

    async def run(self) -> None:
        for tools in self.tools:
            tools.status("ok")
        self.running.set()
        await asyncio.Event().wait()


class Pages(Failing):
    """A receiver with pages."""

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        async def hello(_request: web.Request) -> web.Response:
            return web.Response(text=f"hello from {id(self)}")

        return [web.get("/hello", hello)]


PARTS: dict[str, type[Failing]] = {"failing": Failing, "shared": Shared, "pages": Pages}


@pytest.fixture(autouse=True)
def fresh() -> None:
    for part in PARTS.values():
        part.plan, part.made, part.running = [], [], asyncio.Event()


def channel_with(part: str, monkeypatch: pytest.MonkeyPatch) -> Channel:
    """A channel whose receiver is the class here; parts are found by module name, so this module gets one."""
    import sys
    import types

    module = types.ModuleType("invented_receivers")
    for name, made in PARTS.items():
        setattr(module, name, made)
    monkeypatch.setitem(sys.modules, "invented_receivers", module)
    return replace(CHANNEL, receive={"poll": f"invented_receivers:{part}"})


def supervisor(naps: Callable[[float], Awaitable[object]], **more: Any) -> Supervisor:
    return Supervisor(sleep=naps, jitter=lambda: 1.0, **more)


async def started(made: Supervisor, channel: Channel, tools_for: Tools, told: Told, *accounts: str) -> None:
    def tell(account: Any, state: str, reason: str) -> None:
        told.append((account.name, state, reason))

    made.prepare({name: tools_for(channel, name=name, tell=tell) for name in accounts or ("bot",)})
    made.start()


async def test_a_receiver_that_fails_is_started_afresh_ever_more_slowly(
    tools_for: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps, told = Naps(), Told()
    Failing.plan = [KeyError("bug"), TryAgain("busy"), None]
    made = supervisor(naps)
    await started(made, channel_with("failing", monkeypatch), tools_for, told)
    await naps.until(3)
    naps._go.release()
    await Failing.running.wait()
    assert naps.asked == [1.0, 2.0, 4.0]
    assert len(Failing.made) == 4
    assert [state for _, state, _ in told] == ["degraded", "degraded", "degraded", "ok"]
    await made.stop()


async def test_the_provider_says_how_long_to_wait(tools_for: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    naps = Naps()
    Failing.plan = [TryAgain("busy", after=timedelta(seconds=77))]
    made = supervisor(naps)
    await started(made, channel_with("failing", monkeypatch), tools_for, [])
    await naps.until(1)
    assert naps.asked == [77.0]
    await made.stop()


async def test_a_wrong_setting_pauses_only_its_account(tools_for: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    naps, told = Naps(), Told()
    Failing.plan = [Misconfigured("bot_token", "was revoked")]
    made = supervisor(naps)
    await started(made, channel_with("failing", monkeypatch), tools_for, told, "first", "second")
    await Failing.running.wait()
    assert ("first", "disconnected", "bot_token: was revoked") in told
    assert ("second", "ok", "") in told
    assert naps.asked == []
    await made.stop()


async def test_who_lost_the_work_to_another_process_stands_by(
    tools_for: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = Naps()
    Failing.plan = [Fenced("taken over")]
    made = supervisor(naps, pace=Pace(stand_by=timedelta(seconds=300)))
    await started(made, channel_with("failing", monkeypatch), tools_for, [])
    await naps.until(1)
    assert naps.asked == [300.0]
    await made.stop()


async def test_a_calm_run_starts_counting_anew(tools_for: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    naps, times = Naps(), iter([0.0, 0.1, 1.0, 1.1, 2.0, 99.0, 100.0])
    Failing.plan = [KeyError("a"), KeyError("b"), KeyError("c")]
    made = supervisor(naps, monotonic=lambda: next(times))
    await started(made, channel_with("failing", monkeypatch), tools_for, [])
    await naps.until(3)
    assert naps.asked == [1.0, 2.0, 1.0]
    await made.stop()


async def test_a_shared_receiver_is_one_for_all_accounts(tools_for: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    told: Told = []
    made = supervisor(Naps())
    await started(made, channel_with("shared", monkeypatch), tools_for, told, "first", "second")
    await Shared.running.wait()
    assert len(Shared.made) == 1
    assert told == [("first", "ok", ""), ("second", "ok", "")]
    await made.stop()


async def test_a_receiver_with_pages_stays_the_same_when_it_is_restarted(
    tools_for: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = Naps()
    Pages.plan = [KeyError("bug")]
    made = supervisor(naps)
    pages = made.prepare({"site": tools_for(channel_with("pages", monkeypatch))})
    assert list(pages) == ["site"]
    made.start()
    await naps.until(1)
    naps._go.release()
    await Pages.running.wait()
    assert len(Pages.made) == 1
    await made.stop()


async def test_a_part_that_cannot_be_imported_disconnects_its_own_accounts(tools_for: Tools) -> None:
    told: Told = []
    channel = replace(CHANNEL, receive={"poll": ".nowhere:Poller"}, package="connectors.webhook")
    made = supervisor(Naps())
    await started(made, channel, tools_for, told)
    assert [(name, state) for name, state, _ in told] == [("bot", "disconnected")]
    await made.stop()


def test_waits_are_bounded_and_spread() -> None:
    pace = Pace(first=timedelta(seconds=1), longest=timedelta(seconds=60))
    assert [pace.wait(failures, 1.0) for failures in (1, 2, 3, 10, 10_000)] == [1.0, 2.0, 4.0, 60.0, 60.0]
    assert pace.wait(10, 0.0) == 30.0
