"""Between the bus and a destination: opens records, keeps trying, and reports what came of every event."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import msgspec

from omnibus.blobs import BlobStore
from omnibus.bus.port import Out, Record
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.stage.step import dead_letter
from omnibus.telemetry import facts, metrics
from sinks._engine.declaration import Destination, Receipt, Sink, SinkSettings, SinkTools
from sinks._engine.envelope import Envelope, envelope_of
from sinks._engine.patience import Patience
from sinks._engine.registry import load_destination
from sinks._engine.results import is_result, result


class DestinationHandler:
    """The `SinkHandler` of one configured sink.

    The destination is made when first needed, so that one that cannot be made (a missing library, a wrong setting)
    pauses this sink only. `trouble` says why the sink cannot work just now, None when it can.
    """

    def __init__(self, sink: Sink, tools: SinkTools) -> None:
        self.stage = f"sink.{tools.name}"
        self.trouble: str | None = None
        self._sink = sink
        self._tools = tools
        self._settings: SinkSettings = tools.settings
        self._patience = Patience(self._settings.give_up_after)
        self._destination: Destination | None = None

    def prepare(self) -> None:
        """Make the destination now; a Misconfigured is kept in `trouble` and raised again by the first delivery."""
        try:
            self._ready()
        except Misconfigured as error:
            self._in_trouble(error)

    async def close(self) -> None:
        """Let go of connections and files."""
        if self._destination is not None:
            await self._destination.close()

    async def deliver(self, records: Sequence[Record]) -> Sequence[Out]:
        self._patience.trying(records)
        try:
            outs = await self._deliver(records)
        except Misconfigured as error:
            self._in_trouble(error)
            self._patience.done(records)  # waiting for the operator is not the destination's failure
            raise
        except TryAgain as error:
            if not self._patience.is_over(records):
                attempt = self._patience.count(records[0])
                facts.emit(facts.DeliveryRetried(sink=self._tools.name, why=str(error), attempt=attempt))
                raise
            outs = [out for record in records for out in self._lost(record, error, "parked")]
        except Exception as error:
            if len(records) > 1:
                raise  # the engine tries each alone, so that only the bad one is lost
            outs = self._lost(records[0], error, "failed")
        self.trouble = None
        self._patience.done(records)
        return outs

    async def _deliver(self, records: Sequence[Record]) -> Sequence[Out]:
        opened = [envelope_of(await with_body(record, self._tools.blobs)) for record in records]
        wanted = [envelope for envelope in opened if envelope is not None and self._is_wanted(envelope)]
        if not wanted:
            return ()
        began = time.monotonic()
        receipt = await self._ready().deliver(wanted)
        metrics.current().observe("delivery_seconds", self._tools.name, seconds=time.monotonic() - began)
        facts.emit(facts.Delivered(sink=self._tools.name, records=len(wanted)))
        return [*receipt.also, *self._delivered(wanted, receipt)]

    def _ready(self) -> Destination:
        if self._destination is None:
            self._destination = load_destination(self._sink)(self._tools)
        return self._destination

    def _is_wanted(self, envelope: Envelope) -> bool:
        return not self._settings.events or any(_names(pattern, envelope.name) for pattern in self._settings.events)

    def _delivered(self, envelopes: Sequence[Envelope], receipt: Receipt) -> list[Out]:
        if not self._settings.report_delivered:
            return []
        return [
            result(
                self._tools.topics.outcomes,
                self._tools.name,
                envelope,
                "delivered",
                attempts=self._patience.count(envelope.record),
                external_id=receipt.external_ids.get(envelope.id),
            )
            for envelope in envelopes
            if not is_result(envelope)
        ]

    def _lost(self, record: Record, error: Exception, status: Literal["failed", "parked"]) -> list[Out]:
        """The event goes to the dead letters, and the conversation learns of it."""
        code = error.code if isinstance(error, Refused) else type(error).__name__
        facts.emit(facts.DeliveryFailed(sink=self._tools.name, code=code, why=str(error)[:500]))
        if record.topic == self._tools.topics.dead_letters:
            return []  # it is there already; another copy would come back to this sink for ever
        attempts = self._patience.count(record)
        letter = dead_letter(self._tools.topics.dead_letters, self.stage, record, error, attempts)
        envelope = _readable(record)
        if envelope is None or is_result(envelope):
            return [letter]
        outcome = result(
            self._tools.topics.outcomes, self._tools.name, envelope, status, attempts=attempts, error=error
        )
        return [outcome, letter]

    def _in_trouble(self, error: Misconfigured) -> None:
        if self.trouble is None:
            facts.emit(facts.SinkPaused(sink=self._tools.name, setting=error.setting, why=error.why))
        self.trouble = str(error)


async def with_body(record: Record, blobs: BlobStore) -> Record:
    """The record with the body that was too large to travel with it. Raises BlobMissing."""
    ref = record.header("ce_dataref")
    if ref is None:
        return record
    return msgspec.structs.replace(record, value=await blobs.get(ref.decode("utf-8", "replace")))


def _readable(record: Record) -> Envelope | None:
    """Enough of the event to report on it; its data may be the very thing that is wrong."""
    if any(record.header(name) is None for name in ("ce_id", "ce_type", "ce_source", "ce_subject", "ce_time")):
        return None
    return envelope_of(msgspec.structs.replace(record, value=b"null"))


def _names(pattern: str, name: str) -> bool:
    return pattern == name or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
