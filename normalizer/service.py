"""The normalizer as a service: its stage, and the media worker beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from normalizer.media import media_runner
from normalizer.policy import Policy
from normalizer.stage import NormalizerStage, spec
from omnibus.bus.port import Health, Runner, TaskId
from omnibus.runtime import Runtime


class NormalizerService:
    """Runs the normalizer's partitions that this process owns, and its share of the media worker."""

    name = "normalizer"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._runners: dict[str, Runner] = {}

    async def start(self) -> None:
        runtime, policy = self._runtime, Policy()
        channels = sorted({account.channel.name for account in runtime.accounts.values()})

        def task(_: TaskId) -> NormalizerStage:
            return NormalizerStage(runtime.accounts, runtime.topics, policy)

        self._runners = {
            "normalizer": runtime.bus.run_stage(spec(runtime.topics, channels, policy), task),
            "media": media_runner(runtime),
        }
        for runner in self._runners.values():
            await runner.start()

    async def drain(self, deadline_s: float) -> None:
        await asyncio.gather(*(runner.drain(deadline_s) for runner in self._runners.values()))

    def health(self) -> Mapping[str, Health]:
        return {name: runner.health for name, runner in self._runners.items()}
