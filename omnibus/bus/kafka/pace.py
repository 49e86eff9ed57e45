"""The pause between two commits: short while there is time, longer when the process is busy."""

from __future__ import annotations

import time

_LOOK_S = 0.25
_BUSY, _EASY = 0.75, 0.68
"""Shares of one core. They are close: between them the pause stays, and a busy start would leave it long."""
_LONGER, _SHORTER = 1.4, 0.8
_COMMITS_PER_PAUSE = 1.5
_SMOOTH = 0.1


class Pace:
    """One for each process. A transaction costs about the same for one record or five hundred, so when there is much to
    do, commits become rarer and larger; when there is not, records wait less.

    Two things say that there is much to do: this process uses most of a core, or commits take long because somebody
    else does (the broker, the other processes of the machine).
    """

    def __init__(self, bounds_ms: tuple[float, float]) -> None:
        self._least_s, self._most_s = bounds_ms[0] / 1000, bounds_ms[1] / 1000
        self._by_cpu_s = self._least_s
        self._commit_s = 0.0
        self._looked_at = time.monotonic()
        self._cpu_s = time.process_time()

    @property
    def interval_s(self) -> float:
        """The pause to keep between two commits of a task now."""
        return min(self._most_s, max(self._by_cpu_s, _COMMITS_PER_PAUSE * self._commit_s))

    def took(self, seconds: float) -> None:
        """A commit was done in that time."""
        self._commit_s += _SMOOTH * (seconds - self._commit_s)

    def look(self) -> None:
        """Call it often; it measures a few times a second."""
        now = time.monotonic()
        passed = now - self._looked_at
        if passed < _LOOK_S:
            return
        cpu_s = time.process_time()
        self.adapt((cpu_s - self._cpu_s) / passed)
        self._looked_at, self._cpu_s = now, cpu_s

    def adapt(self, share: float) -> None:
        """`share` of one core was used since the last look."""
        if share > _BUSY:
            self._by_cpu_s = min(self._most_s, self._by_cpu_s * _LONGER)
        elif share < _EASY:
            self._by_cpu_s = max(self._least_s, self._by_cpu_s * _SHORTER)
