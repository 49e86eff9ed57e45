"""Trace context (https://www.w3.org/TR/trace-context/), carried in record headers from the webhook to the sink.

Ids are derived rather than drawn wherever stage code runs, so that processing a record again gives the same trace.
"""

from __future__ import annotations

import re
import secrets
from hashlib import blake2b

import msgspec

from omnibus.bus.port import Headers

HEADER = "traceparent"
_VALID = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_MAX_LENGTH = 256


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One span of a trace: 32 and 16 lower-case hex digits."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self, name: str) -> Trace:
        """The span inside this one that `name` stands for; the same name gives the same span."""
        span = blake2b(f"{self.trace_id}{self.span_id}{name}".encode(), digest_size=8).hexdigest()
        return Trace(trace_id=self.trace_id, span_id=span, sampled=self.sampled)


def start(*, sampled: bool = True) -> Trace:
    """A new trace, for something that arrives without one."""
    return Trace(trace_id=secrets.token_hex(16), span_id=secrets.token_hex(8), sampled=sampled)


def start_from(seed: str, *, sampled: bool = True) -> Trace:
    """The trace that `seed` (an event id) stands for: the same seed gives the same trace."""
    digest = blake2b(seed.encode(), digest_size=24).hexdigest()
    return Trace(trace_id=digest[:32], span_id=digest[32:], sampled=sampled)


def parse(value: str | bytes | None) -> Trace | None:
    """Read a ``traceparent`` value; None when there is none or it is not valid, as the standard asks."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value or ""
    found = _VALID.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Trace(trace_id=trace_id, span_id=span_id, sampled=bool(int(flags, 16) & 1))


def of(headers: Headers) -> Trace | None:
    """The trace a record belongs to."""
    return parse(next((value for name, value in headers if name == HEADER), None))


def put(headers: Headers, trace: Trace) -> Headers:
    """The headers with `trace` in place of any other."""
    kept = tuple(header for header in headers if header[0] != HEADER)
    return (*kept, (HEADER, str(trace).encode()))
