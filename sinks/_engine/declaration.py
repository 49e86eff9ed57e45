"""`Sink`: what a sink folder declares, and the contract of the class behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta

from omnibus.bus.port import Out
from omnibus.config.fields import Duration, Settings, described

if TYPE_CHECKING:
    from omnibus.blobs import BlobStore
    from omnibus.bus.topics import Topics
    from omnibus.http import Http
    from sinks._engine.envelope import Envelope

Need = Literal["http", "smtp", "files", "blobs", "senders"]
"""What a sink reaches for: outbound HTTP, a mail server, the local disk, the blob store, the channels' senders."""

EventName = Annotated[
    str,
    Meta(pattern=r"^[a-z]+\.(\*|[a-z_]+)$", description="An event kind (`message.received`) or a noun (`message.*`)."),
]


class SinkSettings(Settings, frozen=True, kw_only=True):
    """Base of every sink's settings: what the engine itself reads."""

    events: Annotated[
        tuple[EventName, ...],
        described("Only these kinds of events; empty for all that come.", example="message.received"),
    ] = ()
    give_up_after: Annotated[
        Duration | None,
        described("An event that still fails this long after it was first tried is parked with the dead letters."),
    ] = timedelta(days=3)
    report_delivered: Annotated[
        bool, described("Publish `sink.delivered` for every event taken; failures are always published.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class Sink:
    """A sink, declared.

    name: the folder's name, and the `type` in the configuration.
    settings: the typed settings of one configured sink.
    make: name of the class (``.deliver:WebhookSink``), imported when first used; called with SinkTools.
    by_key: every call holds events of one conversation, in order, several conversations at once; otherwise a call
        holds up to `max_batch` events of any, in the order of the partition.
    concurrency: calls at once (by_key).
    needs: what it reaches for, shown in the reference table.
    own_inputs: the engine knows what it reads; it always runs and needs no `from`.
    """

    name: str
    title: str
    docs: str
    settings: type[SinkSettings]
    make: str
    by_key: bool = True
    max_batch: int = 1
    concurrency: int = 16
    needs: frozenset[Need] = frozenset()
    own_inputs: bool = False
    package: str = field(default="", compare=False)


class SinkTools(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination may use. `name` is the configured name."""

    name: str
    settings: Any
    http: Http
    blobs: BlobStore
    topics: Topics


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The destination took the events. `external_ids` are its own ids for them, by event id.

    `also` is written in the transaction that records the delivery (a command back to the conversation, for example).
    """

    external_ids: Mapping[str, str] = {}
    also: tuple[Out, ...] = ()


class Destination(Protocol):
    """A sink's class: ``WebhookSink(tools)``, one instance in a process, used by several calls at once.

    `deliver` returns when every event is with the destination. It is at-least-once: after a crash the same events come
    again with the same ids, so `Envelope.id` is the idempotency key. It raises by recovery: TryAgain (the call's events
    wait, other conversations go on), Refused (reported as `sink.failed` and kept with the dead letters), Misconfigured
    (this sink pauses, the others go on). The constructor does no I/O; it raises Misconfigured. A class with `probe`
    (`omnibus.channel.send.Probing`) is asked by ``omnibus check --live``.
    """

    async def deliver(self, events: Sequence[Envelope]) -> Receipt: ...

    async def close(self) -> None: ...
