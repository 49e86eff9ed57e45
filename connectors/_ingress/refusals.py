"""What the front door turned away: every time counted, and told now and then, since anybody can make us refuse."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from omnibus.telemetry import metrics

TELL_EVERY_S = 60.0

log = structlog.get_logger("omnibus.connectors")


class Refusals:
    """Counts refusals; writes a line for the first of a kind, and then at most one a minute with their number."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._told: dict[tuple[str, str], float] = {}
        self._untold: dict[tuple[str, str], int] = {}

    def note(self, channel: str, account: str, reason: str, why: str = "") -> None:
        """One more; `account` is a configured one, never what a stranger called it, so the kinds are few."""
        metrics.current().count("rejected", channel, account, reason)
        kind, now = (account, reason), self._monotonic()
        if now - self._told.get(kind, -TELL_EVERY_S) < TELL_EVERY_S:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return
        self._told[kind] = now
        more = self._untold.pop(kind, 0)
        log.warning("ingress.refused", channel=channel, account=account, reason=reason, why=why, more=more)
