"""From what the rules say to the place a conversation goes: targets in order, hours, capacity, overflow, pauses.

A conversation is never lost here: when every queue on its way is full, paused or closed, the last one takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from omnibus.model.entities import Tried
from router.around import Around, Obstacle
from router.rules.rule import RuleTarget
from router.rules.ruleset import Verdict

Holds = Callable[[str], bool]
"""Whether an `unless` holds for the conversation in hand."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where it goes. `index` says which of the rule's targets that is, `overflow_after` where it should have gone."""

    to: str
    tried: tuple[Tried, ...] = ()
    overflow_after: str | None = None
    priority: str | None = None
    index: int | None = None
    timeout_ms: int | None = None


class Placing(msgspec.Struct, frozen=True, kw_only=True):
    """One placement: what is around, what is needed, and what is ruled out. `barred` says why no automation may."""

    around: Around
    default: str
    skills: frozenset[str] = frozenset()
    barred: str | None = None
    known: Callable[[str], bool] = lambda target: True

    def of_verdict(self, verdict: Verdict, holds: Holds) -> Place:
        """Where the rules' verdict leads."""
        if verdict.targets:
            return self.of_targets(verdict.targets, holds)
        kind, _, name = verdict.to.partition(":")
        return self.on_from(name) if kind == "queue" else Place(to=verdict.to)

    def of_targets(self, targets: Sequence[RuleTarget], holds: Holds, after: int = -1) -> Place:
        """The first target behind `after` that takes it; the default queue when none does."""
        tried: list[Tried] = []
        for index, target in enumerate(targets):
            if index <= after:
                continue
            obstacle = self._refusal(target, holds)
            if obstacle is None:
                return Place(
                    to=target.to,
                    tried=tuple(tried),
                    priority=target.priority,
                    index=index,
                    timeout_ms=target.timeout_ms,
                )
            tried.append(Tried(target=target.to, result=obstacle.result, why=obstacle.why))
        rest = self.on_from(self.default)
        return msgspec.structs.replace(rest, tried=(*tried, *rest.tried), overflow_after=_first_of(targets, rest))

    def _refusal(self, target: RuleTarget, holds: Holds) -> Obstacle | None:
        if target.unless is not None and holds(target.unless):
            return Obstacle("skipped", f"unless {target.unless}"[:300])
        if target.queue is not None:
            return self.around.obstacle(target.queue, self.skills)
        return None if self.barred is None else Obstacle("skipped", self.barred)

    def on_from(self, queue: str, *, hours: bool = True) -> Place:
        """The queue, or where it sends what it cannot take, and so on. Without `hours` it takes what comes at night."""
        tried: list[Tried] = []
        at = queue
        seen = {queue}
        while (obstacle := self.around.obstacle(at, self.skills, hours=hours)) is not None:
            way = self._way_on(at, obstacle)
            if way is None or way in seen:
                break
            tried.append(_tried(at, obstacle))
            if way.startswith("automation:"):
                return Place(to=way, tried=tuple(tried), overflow_after=queue)
            seen.add(way)
            at = way
        return Place(to=f"queue:{at}", tried=tuple(tried), overflow_after=None if at == queue else queue)

    def _way_on(self, queue: str, obstacle: Obstacle) -> str | None:
        """The next queue (or automation, with its kind) of one that cannot take it."""
        plan = self.around.queues[queue]
        if obstacle.result == "closed":
            target = plan.out_of_hours or ""
            kind, _, name = target.partition(":")
            if kind == "automation":
                return target if self.barred is None and self.known(target) else None
            return name
        return plan.overflow or (self.default if obstacle.result == "skipped" else None)


def _first_of(targets: Sequence[RuleTarget], place: Place) -> str | None:
    return None if place.to == targets[0].to or targets[0].queue is None else targets[0].queue


def _tried(queue: str, obstacle: Obstacle) -> Tried:
    return Tried(target=f"queue:{queue}", result=obstacle.result, why=obstacle.why)
