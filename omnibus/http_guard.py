"""What stands between us and a destination: allowed addresses, bounded unpacking, a circuit breaker, a rate limit."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from omnibus.errors import Refused, TryAgain

UNPACK_BYTES = 64 * 1024
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_CLOUD_METADATA = frozenset(
    {
        # Public by number, yet answers only inside Azure, and hands out credentials:
        # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
        IPv4Address("168.63.129.16"),
    }
)


def is_public(host: str) -> bool:
    """True when a literal address is one the open Internet routes: not loopback, private, link-local, reserved, ..."""
    address = _unwrapped(ip_address(host.partition("%")[0]))
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in _CLOUD_METADATA


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address an IPv6 one carries (mapped, 6to4, Teredo, NAT64), so that no notation slips past."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


class Plain:
    """An answer that is not packed."""

    def __call__(self, raw: bytes) -> Iterable[bytes]:
        return (raw,)

    def finish(self) -> None:
        return None


class Gzip:
    """Unpacks gzip and zlib in small steps, so that a bomb is noticed as it passes a limit, not when it is out."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=47)
        self._started = False

    def __call__(self, raw: bytes) -> Iterable[bytes]:
        while raw:
            self._started = True
            if self._inflate.eof:  # a gzip file may have several members
                self._inflate = zlib.decompressobj(wbits=47)
            try:
                yield self._inflate.decompress(raw, UNPACK_BYTES)
            except zlib.error:
                raise TryAgain("the answer is damaged: not gzip as announced") from None
            raw = self._inflate.unconsumed_tail or self._inflate.unused_data

    def finish(self) -> None:
        if self._started and not self._inflate.eof:
            raise TryAgain("the answer was cut short")


def decoder(encoding: str) -> Plain | Gzip:
    """What unpacks a ``Content-Encoding``. Raises Refused for one we did not ask for."""
    match encoding.strip().lower():
        case "" | "identity":
            return Plain()
        case "gzip" | "x-gzip" | "deflate":
            return Gzip()
    raise Refused("CHANNEL_FAILURE", "the answer has a content encoding we did not ask for")


class _Circuit:
    __slots__ = ("failures", "open_until", "probing")

    def __init__(self) -> None:
        self.failures = 0
        self.open_until = 0.0
        self.probing = False


class Breaker:
    """Stops calling a destination that keeps failing, and lets one call through now and then to see if it is back.

    Closed: calls pass; `failures` in a row open it. Open: calls raise TryAgain with the time left. After `rest` one
    probe passes (half-open): it closes the circuit or opens it again.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        rest: timedelta = timedelta(seconds=30),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._rest = rest.total_seconds()
        self._monotonic = monotonic
        self._circuits: dict[str, _Circuit] = {}

    @contextmanager
    def guard(self, destination: str) -> Iterator[None]:
        """Run one call inside. TryAgain counts as a failure; any other end shows that the destination answers.

        Raises TryAgain without entering when the circuit is open.
        """
        self._enter(destination)
        try:
            yield
        except TryAgain:
            self._failed(destination)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._gave_up(destination)
            raise
        except BaseException:
            self._answered(destination)
            raise
        self._answered(destination)

    def is_open(self, destination: str) -> bool:
        """True while calls are turned away."""
        circuit = self._circuits.get(destination)
        return circuit is not None and (circuit.probing or circuit.open_until > self._monotonic())

    def _enter(self, destination: str) -> None:
        circuit = self._circuits.get(destination)
        if circuit is None or circuit.failures < self._failures:
            return
        left = circuit.open_until - self._monotonic()
        if left > 0 or circuit.probing:
            raise TryAgain(f"{destination} keeps failing; waiting", after=timedelta(seconds=max(left, 1.0)))
        circuit.probing = True

    def _failed(self, destination: str) -> None:
        circuit = self._circuits.setdefault(destination, _Circuit())
        circuit.failures += 1
        circuit.probing = False
        if circuit.failures >= self._failures:
            circuit.open_until = self._monotonic() + self._rest

    def _gave_up(self, destination: str) -> None:
        if circuit := self._circuits.get(destination):
            circuit.probing = False

    def _answered(self, destination: str) -> None:
        self._circuits.pop(destination, None)


class RateLimit:
    """A token bucket: `burst` calls at once, `per_second` in the long run. One per destination and event loop."""

    def __init__(
        self,
        per_second: float,
        burst: int = 1,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if per_second <= 0 or burst < 1:
            raise ValueError("a rate limit needs a positive rate and a burst of at least 1")
        self._rate = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._sleep = sleep
        self._tokens = float(burst)
        self._at = monotonic()

    async def acquire(self, tokens: int = 1) -> None:
        """Wait for a turn; callers are served in the order they came."""
        wait = self._take(tokens)
        if wait <= 0:
            return
        try:
            await self._sleep(wait)
        except asyncio.CancelledError:
            self._tokens += tokens
            raise

    def delay(self, tokens: int = 1) -> timedelta | None:
        """Take the tokens and return None, or take nothing and return how long until they are there."""
        self._refill()
        missing = tokens - self._tokens
        if missing > 0:
            return timedelta(seconds=missing / self._rate)
        self._tokens -= tokens
        return None

    def _take(self, tokens: int) -> float:
        self._refill()
        self._tokens -= tokens  # below zero is the queue: whoever comes next waits for this debt too
        return -self._tokens / self._rate

    def _refill(self) -> None:
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
