"""What the front door lets in at once, and the gate that counts it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec

from omnibus.errors import OmnibusError, Overloaded
from omnibus.telemetry import metrics


class IngressLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the front door. Sizes are bytes."""

    max_body: int = 10_000_000
    max_in_flight_bytes: int = 64_000_000
    max_in_flight: int = 2_000
    read_timeout: timedelta = timedelta(seconds=30)
    """For a body to arrive, from its first byte to its last."""
    idle_timeout: timedelta = timedelta(seconds=75)
    """For the next request of an open connection, and for the headers of the first."""
    retry_after: timedelta = timedelta(seconds=2)


class TooLarge(OmnibusError):
    """The body passes the limit: the ingress answers 413 and stores nothing."""


class TooSlow(OmnibusError):
    """The body did not arrive within the read time-out: the ingress answers 408 and stores nothing."""


class Share:
    """What one request holds of the gate."""

    __slots__ = ("_gate", "size")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold `size` bytes more. Raises Overloaded when all requests together would hold too much."""
        self._gate.take(size)
        self.size += size


class Gate:
    """Counts requests and bytes in hand; more than the limits allow is Overloaded, so that memory stays bounded."""

    def __init__(self, limits: IngressLimits) -> None:
        self._limits = limits
        self._empty = asyncio.Event()
        self._empty.set()
        self.is_closed = False
        self.requests = 0
        self.bytes = 0

    def close(self) -> None:
        """Let nobody in any more; who is in goes on."""
        self.is_closed = True

    async def empty(self) -> None:
        """Returns when no request is in hand."""
        await self._empty.wait()

    @contextmanager
    def share(self) -> Iterator[Share]:
        """One request's share, given back at the end. Raises Overloaded."""
        if self.is_closed:
            raise Overloaded("stopping", after=self._limits.retry_after)
        if self.requests >= self._limits.max_in_flight:
            raise Overloaded(f"{self.requests} requests in hand", after=self._limits.retry_after)
        share = Share(self)
        self.requests += 1
        self._empty.clear()
        try:
            yield share
        finally:
            self.requests -= 1
            self._hold(-share.size)
            if not self.requests:
                self._empty.set()

    def take(self, size: int) -> None:
        """Count `size` bytes more; a request that comes alone is always let in."""
        if self.bytes and self.bytes + size > self._limits.max_in_flight_bytes:
            raise Overloaded(f"{self.bytes} bytes in hand", after=self._limits.retry_after)
        self._hold(size)

    def _hold(self, size: int) -> None:
        before, self.bytes = self.bytes, self.bytes + size
        if before >> 20 != self.bytes >> 20:  # small requests come too often to be shown one by one
            metrics.current().set("in_flight_bytes", value=self.bytes)
