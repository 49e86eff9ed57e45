"""What is around a conversation when it is placed: the time, calendars, queues and how full they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from router.board import LastPlace
from router.calendars import Calendar
from router.queues import DEFAULT_QUEUE_PLAN, QueuePlan


class Obstacle(msgspec.Struct, frozen=True):
    """Why a queue does not take a conversation now: ``full``, ``closed`` or ``skipped``, and the reason."""

    result: str
    why: str


class Around:
    """Asked by rules and placement. `loads`, `paused` and `last_place` are looked up only when something needs them."""

    def __init__(
        self,
        *,
        now_ms: int = 0,
        queues: Mapping[str, QueuePlan] | None = None,
        calendars: Mapping[str, Calendar] | None = None,
        loads: Callable[[], Mapping[str, int]] = dict,
        paused: Callable[[], frozenset[str]] = frozenset,
        last_place: Callable[[], LastPlace | None] = lambda: None,
    ) -> None:
        self.now_ms = now_ms
        self.queues = queues or {}
        self._calendars = calendars or {}
        self._loads = loads
        self._paused = paused
        self._last_place = last_place

    def open_calendars(self) -> dict[str, bool]:
        """Which calendars are open."""
        return {name: calendar.is_open(self.now_ms) for name, calendar in self._calendars.items()}

    def open_queues(self) -> dict[str, bool]:
        """Which queues are within their hours and not paused."""
        paused = self._paused()
        return {name: self._is_open(name, plan, paused) for name, plan in self.queues.items()}

    def loads(self) -> dict[str, int]:
        """Open conversations by queue; every queue is there."""
        loads = self._loads()
        return {name: loads.get(name, 0) for name in self.queues}

    def last_queue(self) -> str:
        """The queue of the contact's last conversation, '' when there was none."""
        place = self._last_place()
        return "" if place is None else place.queue

    def sticky_place(self, within_ms: int, skills: frozenset[str]) -> LastPlace | str:
        """Where the contact was last; the reason, when that is no place to return to."""
        place = self._last_place()
        if place is None:
            return "the contact was nowhere before"
        if place.at_ms + within_ms < self.now_ms:
            return f"was in {place.queue} too long ago"
        if place.queue not in self.queues:
            return f"queue {place.queue} is no longer configured"
        plan = self.queues[place.queue]
        if not plan.calendar.is_open(self.now_ms):
            return f"{place.queue} is closed"
        obstacle = self.obstacle(place.queue, skills)
        return place if obstacle is None else f"{place.queue} {obstacle.why}"

    def obstacle(self, queue: str, skills: frozenset[str] = frozenset(), *, hours: bool = True) -> Obstacle | None:
        """Why the queue cannot take a conversation now, None when it can."""
        plan = self.queues.get(queue, DEFAULT_QUEUE_PLAN)
        if plan.paused or queue in self._paused():
            return Obstacle("skipped", "is paused")
        if plan.skills and not skills <= plan.skills:
            return Obstacle("skipped", f"has nobody with {', '.join(sorted(skills - plan.skills))}"[:300])
        if hours and plan.out_of_hours is not None and not plan.calendar.is_open(self.now_ms):
            return Obstacle("closed", f"is closed ({plan.calendar.name})")
        if plan.capacity is not None and (load := self._loads().get(queue, 0)) >= plan.capacity:
            return Obstacle("full", f"is full ({load} of {plan.capacity})")
        return None

    def _is_open(self, name: str, plan: QueuePlan, paused: frozenset[str]) -> bool:
        return not plan.paused and name not in paused and plan.calendar.is_open(self.now_ms)


NOTHING = Around()
"""For rules alone, without queues around them."""
