"""One call to a sink's handler and what becomes of it, the same on both buses.

Delivered, tried again after a pause, given up as a dead letter, or the whole sink paused because its configuration is
wrong: the engines differ in how they commit the outcome, not in what it is.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol

import structlog

from omnibus.bus.port import Out, SinkSpec, TaskId
from omnibus.errors import Misconfigured, OmnibusError, TryAgain
from omnibus.stage.contract import SinkHandler
from omnibus.stage.step import dead_letter
from omnibus.stage.window import Call, backoff_s

log = structlog.get_logger(__name__)


class Part(Protocol):
    """A partition of a sink, which is told how its calls ended."""

    id: TaskId

    def done(self, call: Call, outs: Sequence[Out]) -> None: ...

    def retry(self, call: Call, at_s: float) -> None: ...

    def untried(self, call: Call, at_s: float) -> None: ...

    def one_by_one(self, call: Call, at_s: float) -> None: ...


class Totals(Protocol):
    """What the runner counts."""

    processed_total: int
    dead_letters_total: int


class Deliveries:
    """The calls of one sink. `check` raises for an outcome that no topic would take."""

    def __init__(
        self,
        spec: SinkSpec,
        handler: SinkHandler,
        dead_letters: str,
        check: Callable[[Sequence[Out]], Awaitable[None]],
        totals: Totals,
    ) -> None:
        self._spec = spec
        self._handler = handler
        self._dead_letters = dead_letters
        self._check = check
        self._totals = totals
        self.pause_reason: str | None = None
        self.paused_until = 0.0

    @property
    def most_at_once(self) -> int:
        """How many calls may run: one alone tries whether a paused sink works again."""
        return 1 if self.pause_reason is not None else self._spec.concurrency

    async def deliver(self, part: Part, call: Call) -> None:
        """Make the call and tell the part how it ended. Never raises, but for a cancellation from outside."""
        try:
            outs = await self._handler.deliver(call.records)
            await self._check(outs)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            # Something inside the handler was cancelled, not the call: its records must not be forgotten.
            self._try_again(part, call, TryAgain("the handler cancelled itself"))
        except TryAgain as error:
            self._try_again(part, call, error)
        except Misconfigured as error:
            self._pause(part, call, error)
        except Exception as error:  # Refused and RecipientGone are final; anything else is a bug in the handler
            self._give_up(part, call, error)
        else:
            self._unpause()
            part.done(call, outs)
            self._totals.processed_total += len(call.entries)

    def _try_again(self, part: Part, call: Call, error: TryAgain) -> None:
        self._unpause()
        if self._spec.max_attempts is not None and call.attempts >= self._spec.max_attempts:
            self._give_up(part, call, error)
            return
        part.retry(call, time.monotonic() + self._backoff(call.attempts, error.after))

    def _give_up(self, part: Part, call: Call, error: Exception) -> None:
        """A record alone becomes a dead letter; of several, each is tried alone, so that only the bad one is lost."""
        self._unpause()
        if len(call.entries) > 1:
            part.one_by_one(call, time.monotonic())
            return
        entry = call.entries[0]
        if not isinstance(error, OmnibusError):
            log.error("sink_bug", sink=self._spec.name, partition=part.id.partition, error=type(error).__name__)
        part.done(call, [dead_letter(self._dead_letters, self._spec.name, entry.record, error, entry.attempts)])
        self._totals.dead_letters_total += 1
        self._totals.processed_total += 1

    def _pause(self, part: Part, call: Call, error: Misconfigured) -> None:
        """Nothing more is delivered until a single call, tried at long intervals, no longer says so."""
        if self.pause_reason is None:
            log.error("sink_paused", sink=self._spec.name, reason=str(error))
        self.pause_reason = str(error)
        self.paused_until = time.monotonic() + self._spec.backoff_s[1]
        part.untried(call, self.paused_until)

    def _unpause(self) -> None:
        self.pause_reason, self.paused_until = None, 0.0

    def _backoff(self, attempt: int, after: timedelta | None) -> float:
        jitter = random.random()  # noqa: S311  # spreads retries, guards nothing
        return backoff_s(attempt, self._spec.backoff_s, jitter, None if after is None else after.total_seconds())
