"""How much one visitor, connection or address may do: token buckets, a bounded number of them; and how much say."""

from __future__ import annotations

from collections import OrderedDict

MAX_BUCKETS = 50_000
MAX_TEXT_CHARS = 10_000


class Allowance:
    """`per_minute` things for each key, up to `burst` of them at once. The longest unused keys are forgotten."""

    def __init__(self, per_minute: float, burst: int) -> None:
        self._per_ms = per_minute / 60_000
        self._burst = float(burst)
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, key: str, now_ms: int) -> int:
        """0 when the thing is allowed (and counted), else the milliseconds until it would be."""
        left, at = self._buckets.pop(key, (self._burst, now_ms))
        left = min(self._burst, left + max(0, now_ms - at) * self._per_ms)
        allowed = left >= 1
        self._buckets[key] = (left - 1 if allowed else left, now_ms)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, round((1 - left) / self._per_ms))


class Counted:
    """How many of something each key has open now."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[str, int] = {}

    def enter(self, key: str) -> bool:
        """False when the key has as many as it may."""
        now = self._open.get(key, 0)
        if now >= self._limit:
            return False
        self._open[key] = now + 1
        return True

    def leave(self, key: str) -> None:
        """One fewer."""
        now = self._open.get(key, 0) - 1
        if now > 0:
            self._open[key] = now
        else:
            self._open.pop(key, None)
