"""The router as a service: its stage, and a worker for every configured automation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar, cast

import msgspec

from omnibus.bus.port import Health, ReadTable, Runner, TaskId, TopicSpec
from omnibus.cli.settings import configuration
from omnibus.config.changes import needs_restart
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


class ReloadedInPart(facts.Fact, frozen=True, kw_only=True):
    """Some of the new configuration waits for a restart; `parts` are its paths."""

    level: ClassVar[facts.Level] = "warning"
    parts: str


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
            self._employ(automation, self._plan, conversations)

        def task(_: TaskId) -> RouterStage:
            return RouterStage(lambda: self._plan)

        self._runners["router"] = runtime.bus.run_stage(stage.spec(runtime.topics), task)
        for runner in self._runners.values():
            await runner.start()

    async def reload(self, config: Config) -> Plan:
        """Route by another configuration's rules, queues and calendars from the next record on.

        No message is lost or routed twice. Topics of new queues and automations are made and workers of new automations
        started before anything is routed to them. Raises ConfigErrors; the plan in use stays in use then.
        """
        plan, runtime = self._plan_of(config), self._runtime
        fresh = [one for name, one in config.automations.items() if f"automation.{name}" not in self._runners]
        await runtime.bus.ensure_topics(self._topics_of(plan))
        conversations = await runtime.bus.global_table(runtime.topics.conversations)
        for runner in [self._employ(automation, plan, conversations) for automation in fresh]:
            await runner.start()
        self._plan = plan
        facts.emit(RulesReloaded(version=plan.rules.version, rules=len(plan.rules.rules)))
        if later := needs_restart(runtime.config, config):
            facts.emit(ReloadedInPart(parts=", ".join(later)))
        return plan

    def _topics_of(self, plan: Plan) -> list[TopicSpec]:
        """The topics of what may be new, with as many partitions as the others have."""
        runtime = self._runtime
        wanted = {runtime.topics.queue(name) for name in plan.queues}
        wanted |= {runtime.topics.automation(name) for name in plan.automations}
        specs = runtime.topics.all_specs(
            partitions=runtime.config.partitions, channels=(), queues=plan.queues, automations=plan.automations
        )
        return [spec for spec in specs if spec.name in wanted]

    def _plan_of(self, config: Config) -> Plan:
        plan = plan_of(config, self._runtime.topics, self._runtime.accounts)
        shadow: ShadowSettings | None = config.sections.get(SHADOW)
        if shadow is None:
            return plan
        candidate = plan_of(configuration(shadow.rules, make_secrets=False), plan.topics, self._runtime.accounts)
        return msgspec.structs.replace(plan, shadow=candidate)

    async def drain(self, deadline_s: float) -> None:
        await asyncio.gather(*(runner.drain(deadline_s) for runner in self._runners.values()))
        for handler in self._workers:
            await handler.close()

    def health(self) -> Mapping[str, Health]:
        return {name: runner.health for name, runner in self._runners.items()}

    def _employ(self, automation: AutomationConfig, plan: Plan, conversations: ReadTable) -> Runner:
        """A worker for an automation, which is not started yet."""
        runtime, handler = self._runtime, self._worker(automation, plan, conversations)
        self._workers.append(handler)
        runner = runtime.bus.run_sink(worker.spec(runtime.topics, automation.name), handler)
        self._runners[f"automation.{automation.name}"] = runner
        return runner

    def _worker(self, config: AutomationConfig, plan: Plan, conversations: ReadTable) -> AutomationWorker:
        runtime = self._runtime
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
