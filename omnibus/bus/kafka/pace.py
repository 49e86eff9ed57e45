"""The pause between two commits: short while there is time, longer when the process is busy."""

from __future__ import annotations

import time

_LOOK_S = 0.25
_BUSY, _EASY = 0.75, 0.5
_LONGER, _SHORTER = 1.4, 0.8


class Pace:
    """One for each process. A transaction costs about the same for one record or five hundred, so when the process
    uses most of a core, commits become rarer and larger; when it does not, records wait less."""

    def __init__(self, bounds_ms: tuple[float, float]) -> None:
        self._least_s, self._most_s = bounds_ms[0] / 1000, bounds_ms[1] / 1000
        self.interval_s = self._least_s
        self._looked_at = time.monotonic()
        self._cpu_s = time.process_time()

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
            self.interval_s = min(self._most_s, self.interval_s * _LONGER)
        elif share < _EASY:
            self.interval_s = max(self._least_s, self.interval_s * _SHORTER)
