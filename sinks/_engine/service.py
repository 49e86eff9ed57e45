"""The sinks stage as the command line starts it: one runner for each configured sink and for each channel's replies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from omnibus.bus.port import Health, Runner, SinkSpec, TaskHealth, TaskId
from omnibus.errors import Misconfigured
from omnibus.plugins import Found
from omnibus.runtime import Runtime
from omnibus.stage.contract import SinkHandler
from omnibus.telemetry import facts
from sinks._engine.declaration import Sink, SinkTools
from sinks._engine.handler import DestinationHandler
from sinks._engine.inputs import topics_of
from sinks._engine.registry import discover
from sinks.channel_reply.handler import ReplyHandler
from sinks.channel_reply.sink import SINK as REPLIES
from sinks.channel_reply.sink import ReplySettings


class Handler(SinkHandler, Protocol):
    """A sink handler with a lifetime. `trouble` says what does not work just now, None when everything does."""

    @property
    def trouble(self) -> str | None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class _Running:
    runner: Runner
    handler: Handler

    @property
    def health(self) -> Health:
        return with_trouble(self.runner.health, self.handler.trouble)


class SinksService:
    """Every configured sink and every channel's replies, each with a runner of its own: one that fails or pauses stops
    no other. A sink that cannot even be set up is shown as paused in `health` and the rest starts without it."""

    name = "sinks"

    def __init__(self, runtime: Runtime, discovery: Found[Sink] | None = None) -> None:
        self._runtime = runtime
        self._discovery = discovery or discover()
        self._running: dict[str, _Running] = {}
        self._unable: dict[str, str] = {}

    async def start(self) -> None:
        for name, configured in self._runtime.config.sinks.items():
            if configured.type == REPLIES.name:
                continue
            try:
                self._add_sink(name, configured.type, configured.sources, configured.settings)
            except Misconfigured as error:
                self._unable[f"sink.{name}"] = str(error)
                facts.emit(facts.SinkPaused(sink=name, setting=error.setting, why=error.why))
        self._add_replies()
        for running in self._running.values():
            await running.runner.start()

    async def drain(self, deadline_s: float) -> None:
        """Let every sink finish what it has in hand, then close the destinations."""
        running = list(self._running.values())
        await asyncio.gather(*(one.runner.drain(deadline_s) for one in running))
        await asyncio.gather(*(one.handler.close() for one in running))

    def health(self) -> Mapping[str, Health]:
        unable = {name: _unable(name, reason) for name, reason in self._unable.items()}
        return {**unable, **{name: one.health for name, one in self._running.items()}}

    def _add_sink(self, name: str, kind: str, sources: tuple[str, ...], settings: Any) -> None:
        runtime = self._runtime
        sink = self._discovery.get(kind)
        inputs = topics_of(
            sources, runtime.topics, queues=runtime.config.queues, automations=runtime.config.automations
        )
        tools = SinkTools(name=name, settings=settings, http=runtime.http, blobs=runtime.blobs, topics=runtime.topics)
        handler = DestinationHandler(sink, tools)
        handler.prepare()
        self._run(_spec(sink, f"sink.{name}", inputs), handler)

    def _add_replies(self) -> None:
        settings = self._reply_settings()
        for channel in sorted({account.channel.name for account in self._runtime.accounts.values()}):
            handler = ReplyHandler(self._runtime, channel, settings)
            spec = _spec(REPLIES, f"sink.channel_reply.{channel}", (self._runtime.topics.outbound(channel),))
            self._run(spec, handler)

    def _reply_settings(self) -> ReplySettings:
        """Those of the first configured sink of the type ``channel_reply``, which needs no ``from``."""
        for configured in self._runtime.config.sinks.values():
            if isinstance(configured.settings, ReplySettings):
                return configured.settings
        return ReplySettings()

    def _run(self, spec: SinkSpec, handler: Handler) -> None:
        self._running[spec.name] = _Running(runner=self._runtime.bus.run_sink(spec, handler), handler=handler)


def _spec(sink: Sink, name: str, inputs: tuple[str, ...]) -> SinkSpec:
    return SinkSpec(
        name=name, inputs=inputs, by_key=sink.by_key, max_batch=sink.max_batch, concurrency=sink.concurrency
    )


def with_trouble(health: Health, trouble: str | None) -> Health:
    """The runner's health with what the destination has to say."""
    if trouble is None:
        return health
    tasks = tuple(msgspec.structs.replace(task, reason=task.reason or trouble) for task in health.tasks)
    return msgspec.structs.replace(health, tasks=tasks)


def _unable(name: str, reason: str) -> Health:
    return Health(tasks=(TaskHealth(task=TaskId(name, 0), state="paused", lag=0, reason=reason),))
