"""A process of the router's chaos run: its real stage on the embedded bus, to be killed and stopped at random."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import msgspec
import structlog

from omnibus.bus.embedded import EmbeddedBus, Limits
from omnibus.bus.topics import Topics
from omnibus.cli.plugins import known_types, settings_of
from omnibus.config.load import loads
from router.plan import SECTIONS, AccountPlan, Plan, plan_of
from router.rehearsal import ACCOUNT
from router.stage import RouterStage, spec

TOPICS = Topics("chaos")
CONFIG = """
queues:
  general: {sla: {first_response: 2s, warn_at: 0.5}, raise_priority_after: 1s}
  billing: {sla: {first_response: 2s, warn_at: 0.5}, capacity: 5, overflow: general}
  leads: {sla: {first_response: 2s, warn_at: 0.5}}
automations:
  bot:
    {type: webhook, url: "http://127.0.0.1:9/", secret: chaos, timeout: 1s, answer_within: 500ms, hand_over_to: general}
routes:
  - {name: bot, when: "message.text == 'bot'", to: automation:bot}
  - {name: bills, when: "message.text == 'bill'", to: queue:billing}
  - {name: steps, when: "message.text == 'steps'", targets: [{queue: leads, timeout: 1s}, {queue: general}]}
"""


def the_plan() -> Plan:
    """The plan of every process of a run."""
    config = loads(CONFIG, settings_of=settings_of, known_types=known_types, sections=SECTIONS)
    return msgspec.structs.replace(plan_of(config, TOPICS, {}), accounts={ACCOUNT: AccountPlan()})


async def main(path: str, lease_ttl_s: float) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    bus = EmbeddedBus(Path(path), dead_letters=TOPICS.dead_letters, limits=Limits(lease_ttl_s=lease_ttl_s))
    await bus.open()
    plan = the_plan()
    await bus.run_stage(spec(TOPICS), lambda _: RouterStage(lambda: plan)).start()
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*json.loads(sys.argv[1])))
