"""What `omnibus check` asks the router."""

from __future__ import annotations

from omnibus.bus.topics import Topics
from omnibus.config.model import Config
from router.plan import plan_of


def check(config: Config) -> None:
    """Raises ConfigErrors with everything wrong in routes and automations, each at its line."""
    plan_of(config, Topics(config.prefix), {})
