"""The router as a service: its stage, and a worker for every configured automation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast

import msgspec

from omnibus.bus.port import Health, ReadTable, Runner, TaskId
from omnibus.cli.settings import configuration
from omnibus.config.errors import ConfigError, ConfigErrors
from omnibus.config.model import AutomationConfig, Config
from omnibus.runtime import Runtime
from omnibus.telemetry import facts
from router import stage
from router.automations import worker
from router.automations.contract import AutomationSettings, AutomationTools
from router.automations.registry import discover
from router.automations.worker import AutomationWorker
from router.plan import SHADOW, Plan, plan_of
from router.sections import ShadowSettings
from router.stage import RouterStage


class RulesReloaded(facts.Fact, frozen=True, kw_only=True):
    """Other rules decide from here on."""

    version: str
    rules: int


class RouterService:
    """Runs the router's partitions that this process owns, and its share of the automations' work."""

    name = "router"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._plan = self._plan_of(runtime.config)
        self._runners: dict[str, Runner] = {}
        self._workers: list[AutomationWorker] = []

    async def start(self) -> None:
        runtime = self._runtime
        conversations = await runtime.bus.global_table(runtime.topics.conversations)
        for automation in runtime.config.automations.values():
            name = f"automation.{automation.name}"
            handler = self._worker(automation, conversations)
            self._workers.append(handler)
            self._runners[name] = runtime.bus.run_sink(worker.spec(runtime.topics, automation.name), handler)

        def task(_: TaskId) -> RouterStage:
            return RouterStage(lambda: self._plan)

        self._runners["router"] = runtime.bus.run_stage(stage.spec(runtime.topics), task)
        for runner in self._runners.values():
            await runner.start()

    def reload(self, config: Config) -> Plan:
        """Route by another configuration's rules, queues and calendars from the next record on.

        No message is lost or routed twice. A new queue or automation needs a restart, because its topic and worker are
        made at start. Raises ConfigErrors; the plan in use stays in use then.
        """
        plan = self._plan_of(config)
        self._refuse_new(config, "queues", set(plan.queues) - set(self._runtime.config.queues))
        self._refuse_new(config, "automations", plan.automations.keys() - self._runtime.config.automations.keys())
        self._plan = plan
        facts.emit(RulesReloaded(version=plan.rules.version, rules=len(plan.rules.rules)))
        return plan

    def _plan_of(self, config: Config) -> Plan:
        plan = plan_of(config, self._runtime.topics, self._runtime.accounts)
        shadow: ShadowSettings | None = config.sections.get(SHADOW)
        if shadow is None:
            return plan
        candidate = plan_of(configuration(shadow.rules, make_secrets=False), plan.topics, self._runtime.accounts)
        return msgspec.structs.replace(plan, shadow=candidate)

    def _refuse_new(self, config: Config, section: str, names: Iterable[str]) -> None:
        paths = [f"{section}.{name}" for name in sorted(names)]
        if paths:
            why = "is new: it needs a restart"
            raise ConfigErrors([ConfigError(config.where(path), path, why) for path in paths])

    async def drain(self, deadline_s: float) -> None:
        await asyncio.gather(*(runner.drain(deadline_s) for runner in self._runners.values()))
        for handler in self._workers:
            await handler.close()

    def health(self) -> Mapping[str, Health]:
        return {name: runner.health for name, runner in self._runners.items()}

    def _worker(self, config: AutomationConfig, conversations: ReadTable) -> AutomationWorker:
        plan, runtime = self._plan, self._runtime
        automation = discover().get(config.type)
        targets = [f"queue:{queue}" for queue in plan.queues] + [f"automation:{name}" for name in plan.automations]
        tools = AutomationTools(
            name=config.name,
            hand_over_to=plan.automations[config.name].hand_over_to,
            http=runtime.http,
            targets=frozenset(targets),
            calendars=plan.calendars,
        )
        part = automation.make(config.settings, tools)
        timeout = cast(AutomationSettings, config.settings).timeout
        return AutomationWorker(automation, part, tools, runtime.topics, conversations, timeout)
