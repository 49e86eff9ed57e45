"""Facts: one type for each thing that happens. `emit` writes its line and counts it.

A warning is something an operator may act on, an error is data lost or about to be; the rest is info when it is rare
and debug when it is every message. Other packages add facts of their own by subclassing `Fact` where they happen.
"""

from __future__ import annotations

import re
from functools import cache
from typing import ClassVar, Literal

import msgspec
import structlog

from omnibus.telemetry import logs, metrics

Level = Literal["debug", "info", "warning", "error"]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all facts. Fields are what the line shows; never a secret, never the text of a message.

    `counter` is a name of `metrics.COUNTERS`, its labels are taken from the fields of the same name (and `labels`);
    without one the fact is counted by its kind.
    """

    level: ClassVar[Level] = "info"
    counter: ClassVar[str | None] = None
    fixed: ClassVar[dict[str, str]] = {}
    """Values of labels that are the same for every fact of the kind."""

    @property
    def times(self) -> int:
        """How much it counts for."""
        return 1


def emit(fact: Fact) -> None:
    """Write the fact's line and count it."""
    if logs.writes(fact.level):
        getattr(structlog.get_logger(), fact.level)(name_of(type(fact)), **msgspec.structs.asdict(fact))
    if fact.counter is None:
        metrics.current().count("facts", name_of(type(fact)), by=fact.times)
        return
    labels = (fact.fixed.get(label) or str(getattr(fact, label)) for label in metrics.COUNTERS[fact.counter][1])
    metrics.current().count(fact.counter, *labels, by=fact.times)


@cache
def name_of(kind: type[Fact]) -> str:
    """``PayloadParked`` is logged as ``payload parked``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", kind.__name__).lower()


class Received(Fact, frozen=True, kw_only=True):
    """Something arrived from a provider."""

    level: ClassVar[Level] = "debug"
    counter: ClassVar[str | None] = "received"
    channel: str
    account: str


class Accepted(Fact, frozen=True, kw_only=True):
    """The log has it, and the provider may be told so."""

    level: ClassVar[Level] = "debug"
    counter: ClassVar[str | None] = "accepted"
    channel: str
    account: str
    records: int = 1

    @property
    def times(self) -> int:
        return self.records


class Rejected(Fact, frozen=True, kw_only=True):
    """It was refused before the log: a bad signature, an unknown account, too large."""

    level: ClassVar[Level] = "warning"
    counter: ClassVar[str | None] = "rejected"
    channel: str
    account: str
    reason: str


class PayloadParked(Fact, frozen=True, kw_only=True):
    """A raw event could not be understood and waits for a better mapping."""

    level: ClassVar[Level] = "warning"
    counter: ClassVar[str | None] = "parked"
    channel: str
    reason: str
    topic: str = ""
    partition: int = -1
    offset: int = -1


class DeadLettered(Fact, frozen=True, kw_only=True):
    """A record was put aside. `reason` is the error's class or code, `why` its text."""

    level: ClassVar[Level] = "warning"
    counter: ClassVar[str | None] = "dead_letters"
    stage: str
    reason: str
    why: str = ""
    topic: str = ""
    partition: int = -1
    offset: int = -1


class TaskRestarted(Fact, frozen=True, kw_only=True):
    """A task failed and starts afresh."""

    level: ClassVar[Level] = "warning"
    stage: str
    partition: int
    why: str


class TaskFenced(Fact, frozen=True, kw_only=True):
    """Another process owns the partition now."""

    stage: str
    partition: int


class TaskFailed(Fact, frozen=True, kw_only=True):
    """A task cannot go on by itself: its records wait for an operator."""

    level: ClassVar[Level] = "error"
    stage: str
    partition: int
    why: str


class Delivered(Fact, frozen=True, kw_only=True):
    """A sink has delivered."""

    level: ClassVar[Level] = "debug"
    counter: ClassVar[str | None] = "deliveries"
    fixed: ClassVar[dict[str, str]] = {"result": "delivered"}
    sink: str
    records: int = 1

    @property
    def times(self) -> int:
        return self.records


class DeliveryRetried(Fact, frozen=True, kw_only=True):
    """A delivery met a passing fault and is tried again."""

    counter: ClassVar[str | None] = "deliveries"
    fixed: ClassVar[dict[str, str]] = {"result": "retried"}
    sink: str
    why: str
    attempt: int


class DeliveryFailed(Fact, frozen=True, kw_only=True):
    """A delivery failed for good; `code` is from the failure vocabulary."""

    level: ClassVar[Level] = "warning"
    counter: ClassVar[str | None] = "deliveries"
    fixed: ClassVar[dict[str, str]] = {"result": "failed"}
    sink: str
    code: str
    why: str = ""


class SinkPaused(Fact, frozen=True, kw_only=True):
    """A sink waits for its configuration to be put right."""

    level: ClassVar[Level] = "warning"
    sink: str
    setting: str
    why: str


class ChannelConnected(Fact, frozen=True, kw_only=True):
    """A channel account is connected (again)."""

    channel: str
    account: str


class ChannelDisconnected(Fact, frozen=True, kw_only=True):
    """A channel account is not connected; it is tried again."""

    level: ClassVar[Level] = "warning"
    channel: str
    account: str
    why: str


class ChannelPaused(Fact, frozen=True, kw_only=True):
    """A channel account waits for its configuration to be put right."""

    level: ClassVar[Level] = "warning"
    channel: str
    account: str
    setting: str
    why: str


class Overfull(Fact, frozen=True, kw_only=True):
    """A bounded queue is full and turns new work away; `what` names it."""

    level: ClassVar[Level] = "warning"
    what: str
