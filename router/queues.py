"""Queues as the router sees them: hours, capacity, where they overflow to, their SLA. Checked when they are loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

import msgspec

from omnibus.config.errors import ConfigError
from omnibus.config.model import Config, Escalation, QueueSettings, SlaTargets
from router.calendars import ALWAYS, Always, Calendar

FIRST_RESPONSE = "first_response"
NEXT_RESPONSE = "next_response"
RESOLUTION = "resolution"
METRICS = (FIRST_RESPONSE, NEXT_RESPONSE, RESOLUTION)


class SlaPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How soon things must happen, in open milliseconds by metric, and what to do when they do not."""

    targets_ms: Mapping[str, int] = {}
    warn_at: float = 0.75
    escalate: tuple[Escalation, ...] = ()


class QueuePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A queue. `out_of_hours` is a target (`queue:night`, `automation:closed`), `overflow` a queue's name."""

    calendar: Calendar | Always = ALWAYS
    priority: str | None = None
    capacity: int | None = None
    overflow: str | None = None
    out_of_hours: str | None = None
    paused: bool = False
    skills: frozenset[str] = frozenset()
    raise_priority_after_ms: int | None = None
    survey: str | None = None
    sla: SlaPlan = SlaPlan()


DEFAULT_QUEUE_PLAN = QueuePlan()


def queue_plans(config: Config, calendars: Mapping[str, Calendar]) -> tuple[dict[str, QueuePlan], list[ConfigError]]:
    """Every queue, and everything wrong with them, each at its line."""
    errors = [error for name in config.queues for error in _queue_errors(config, name, calendars)]
    errors += _cycles(config)
    plans = {name: _plan(queue, calendars) for name, queue in config.queues.items()}
    return plans, errors


def _plan(queue: QueueSettings, calendars: Mapping[str, Calendar]) -> QueuePlan:
    return QueuePlan(
        calendar=calendars.get(queue.calendar or "", ALWAYS),
        priority=queue.priority,
        capacity=queue.capacity,
        overflow=queue.overflow,
        out_of_hours=queue.out_of_hours,
        paused=queue.paused,
        skills=frozenset(queue.skills),
        raise_priority_after_ms=_ms(queue.raise_priority_after),
        survey=queue.survey,
        sla=_sla(queue.sla),
    )


def _sla(sla: SlaTargets) -> SlaPlan:
    targets = {metric: _ms(getattr(sla, metric)) for metric in METRICS}
    return SlaPlan(
        targets_ms={metric: target for metric, target in targets.items() if target is not None},
        warn_at=sla.warn_at,
        escalate=sla.escalate,
    )


def _ms(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds() * 1000)


# --- what can be wrong --------------------------------------------------------------------------


def _queue_errors(config: Config, name: str, calendars: Mapping[str, Calendar]) -> Iterator[ConfigError]:
    queue, place = config.queues[name], f"queues.{name}"

    def wrong(path: str, why: str, known: str = "") -> ConfigError:
        full = f"{place}.{path}"
        return ConfigError(config.where(full), full, why, known)

    if queue.calendar is not None and queue.calendar not in calendars:
        yield wrong("calendar", f"unknown calendar {queue.calendar!r}", _known(calendars))
    if queue.out_of_hours is not None:
        if queue.calendar is None:
            yield wrong("out_of_hours", "without a calendar the queue is always open")
        yield from (wrong("out_of_hours", why, known) for why, known in _target_errors(config, queue.out_of_hours))
    if queue.survey is not None and _type_of(config, queue.survey) != "survey":
        yield wrong("survey", f"no automation {queue.survey!r} of type survey", _known(config.automations))
    if queue.raise_priority_after is not None and not queue.raise_priority_after:
        yield wrong("raise_priority_after", "must be longer than nothing")
    for metric in METRICS:
        if getattr(queue.sla, metric) is not None and not getattr(queue.sla, metric):
            yield wrong(f"sla.{metric}", "must be longer than nothing")
    for index, action in enumerate(queue.sla.escalate):
        if action.queue is not None and action.queue not in config.queues:
            yield wrong(f"sla.escalate.{index}.queue", f"unknown queue {action.queue!r}", _known(config.queues))


def _type_of(config: Config, automation: str) -> str | None:
    return config.automations[automation].type if automation in config.automations else None


def _target_errors(config: Config, target: str) -> Iterator[tuple[str, str]]:
    kind, _, name = target.partition(":")
    names = {"queue": config.queues, "automation": config.automations}.get(kind)
    if names is None:
        yield f"expected a target, got {target[:60]!r}", "accepted: queue:NAME, automation:NAME"
    elif name not in names:
        yield f"unknown {kind} {name!r}", _known(names)


def _known(names: Mapping[str, object]) -> str:
    return f"known: {', '.join(sorted(names)) or 'none'}"


def _cycles(config: Config) -> Iterator[ConfigError]:
    """A conversation must not go round: each way out of a queue (overflow, hours) ends somewhere."""
    for what in ("overflow", "out_of_hours"):
        ways = {name: _next(getattr(queue, what)) for name, queue in config.queues.items()}
        told: set[str] = set()
        for name in ways:
            round_ = _round(name, ways)
            if round_ and not told & set(round_):
                told |= set(round_)
                path = f"queues.{name}.{what}"
                yield ConfigError(config.where(path), path, f"goes round in a circle: {' -> '.join((*round_, name))}")


def _next(target: str | None) -> str | None:
    kind, colon, name = (target or "").partition(":")
    return (name if kind == "queue" else None) if colon else target


def _round(start: str, ways: Mapping[str, str | None]) -> list[str]:
    """The queues from `start` back to `start`, none when the way ends or goes round elsewhere."""
    path, at = [start], ways[start]
    while at is not None and at in ways and at not in path:
        path.append(at)
        at = ways[at]
    return path if at == start else []
