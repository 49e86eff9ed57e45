"""What ``/health/live`` and ``/health/ready`` answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import orjson

from omnibus.bus.port import Health, TaskHealth
from omnibus.telemetry.redact import masked

Probes = Mapping[str, Callable[[], Health]]
"""Runners by name; asked whenever somebody asks us."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP status and its JSON body."""

    status: int
    body: bytes


def live(probes: Probes) -> Answer:
    """Always 200 while the process can answer at all.

    A failed task does not make it less alive: its position or configuration needs a person, and restarting the
    process, which is what a failing liveness probe asks for, would stop the healthy ones too.
    """
    return _answer(200, {"status": "ok", "stages": sorted(probes)})


def ready(probes: Probes) -> Answer:
    """200 when every runner is ready, otherwise 503; the body says which is not, and why."""
    stages = {name: _stage(probe()) for name, probe in sorted(probes.items())}
    ok = all(stage["ready"] for stage in stages.values())
    return _answer(200 if ok else 503, {"status": "ready" if ok else "not ready", "stages": stages})


def _stage(health: Health) -> dict[str, Any]:
    return {
        "ready": health.ready,
        "tasks": len(health.tasks),
        "lag": sum(task.lag for task in health.tasks),
        "oldest_ms": max((task.oldest_ms for task in health.tasks), default=0),
        "problems": [_problem(task) for task in health.tasks if task.state != "ready" or task.reason is not None],
    }


def _problem(task: TaskHealth) -> dict[str, Any]:
    reason = None if task.reason is None else masked(task.reason)[:500]
    return {"partition": task.task.partition, "state": task.state, "reason": reason}


def _answer(status: int, body: object) -> Answer:
    return Answer(status=status, body=orjson.dumps(body))
