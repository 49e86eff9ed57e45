"""The engine between bus and destination: what fails is reported and kept, and nothing is reported for ever."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from omnibus import clock
from omnibus.blobs import blob_uri
from omnibus.bus.port import Out, Record
from omnibus.clock import ManualClock
from omnibus.errors import Misconfigured, OmnibusError, Refused, TryAgain
from omnibus.model import codec
from omnibus.model.events import SINKS, SinkResult
from sinks._engine.declaration import Receipt, Sink, SinkSettings, SinkTools
from sinks._engine.envelope import Envelope
from sinks._engine.handler import DestinationHandler

if TYPE_CHECKING:
    from tests.sinks.conftest import Installation

MODULE = "a_destination_for_tests"


class Place:
    """A destination that does what its `answers` say, and takes everything when there are none left."""

    answers: list[Exception | Receipt]
    seen: list[list[str]]
    refusal: OmnibusError | None
    closed: int

    def __init__(self, _tools: SinkTools) -> None:
        if Place.refusal is not None:
            raise Place.refusal

    async def deliver(self, events: Sequence[Envelope]) -> Receipt:
        Place.seen.append([event.id for event in events])
        answer = Place.answers.pop(0) if Place.answers else Receipt()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        Place.closed += 1


@pytest.fixture(autouse=True)
def module() -> Iterator[None]:
    made = ModuleType(MODULE)
    made.Place = Place  # type: ignore[attr-defined]  # a module made here has no declared names
    sys.modules[MODULE] = made
    Place.answers, Place.seen, Place.refusal, Place.closed = [], [], None, 0
    yield
    del sys.modules[MODULE]


Handler = Callable[..., DestinationHandler]


@pytest.fixture
def handler(installation: Installation) -> Handler:
    def made(make: str = f"{MODULE}:Place", **settings: object) -> DestinationHandler:
        sink = Sink(name="place", title="Place", docs="https://example.com/", settings=SinkSettings, make=make)
        return DestinationHandler(sink, installation.tools(SinkSettings(**settings), "place"))  # type: ignore[arg-type]  # any of its fields

    return made


def record(installation: Installation, number: int = 1, event: codec.Event | None = None) -> Record:
    return installation.record(codec.encode(event or installation.received(number), "omnibus.events"), number)


def result_of(installation: Installation, out: Out) -> SinkResult:
    data: SinkResult = codec.decode(installation.record(out)).data
    return data


async def test_a_refused_event_is_reported_and_kept(installation: Installation, handler: Handler) -> None:
    Place.answers = [Refused("MEDIA_TOO_LARGE", "too large")]
    outcome, letter = await handler().deliver([record(installation)])
    said = result_of(installation, outcome)
    assert (said.sink, said.event_id, said.status, said.code) == ("place", "evt_conv_1_1", "failed", "MEDIA_TOO_LARGE")
    assert letter.topic == installation.topics.dead_letters


async def test_of_several_events_only_the_bad_one_is_lost(installation: Installation, handler: Handler) -> None:
    """The engine gets the error back and tries each event alone."""
    Place.answers = [Refused("CHANNEL_FAILURE", "no")]
    with pytest.raises(Refused):
        await handler().deliver([record(installation, 1), record(installation, 2)])


async def test_a_bug_is_reported_like_a_refusal(installation: Installation, handler: Handler) -> None:
    Place.answers = [ZeroDivisionError("oops")]
    outcome, letter = await handler().deliver([record(installation)])
    assert result_of(installation, outcome).reason == "ZeroDivisionError: oops"
    assert b"Traceback" in dict(letter.headers)["dead_traceback"]


async def test_an_event_is_given_up_only_after_its_time(installation: Installation, handler: Handler) -> None:
    to, moved = handler(give_up_after=timedelta(hours=1)), ManualClock()
    Place.answers = [TryAgain("down"), TryAgain("down"), TryAgain("down")]
    with clock.use(moved):
        for _ in range(2):
            with pytest.raises(TryAgain):
                await to.deliver([record(installation)])
            moved.advance(timedelta(minutes=30))
        outcome, _ = await to.deliver([record(installation)])
    said = result_of(installation, outcome)
    assert (said.status, said.attempts, said.reason) == ("parked", 3, "TryAgain: down")


async def test_without_a_limit_an_event_is_tried_for_ever(installation: Installation, handler: Handler) -> None:
    to, moved = handler(give_up_after=None), ManualClock()
    Place.answers = [TryAgain("down")] * 3
    with clock.use(moved):
        for _ in range(3):
            with pytest.raises(TryAgain):
                await to.deliver([record(installation)])
            moved.advance(timedelta(days=365))


async def test_waiting_for_the_operator_uses_up_no_patience(installation: Installation, handler: Handler) -> None:
    to, moved = handler(give_up_after=timedelta(hours=1)), ManualClock()
    Place.answers = [Misconfigured("token", "expired"), TryAgain("down")]
    with clock.use(moved):
        with pytest.raises(Misconfigured):
            await to.deliver([record(installation)])
        assert str(to.trouble) == "token: expired"
        moved.advance(timedelta(days=3))
        with pytest.raises(TryAgain):
            await to.deliver([record(installation)])
        assert await to.deliver([record(installation)]) == []
    assert to.trouble is None


async def test_nothing_is_reported_about_a_report(installation: Installation, handler: Handler) -> None:
    """Two sinks that read the outcomes would otherwise report on each other for ever."""
    data = SinkResult(
        sink="other", event_id="evt_1", conversation_id="conv_1", status="failed", at=installation.message().created_at
    )
    report = installation.event(data, "sink.failed", id="evt_r", source=SINKS)
    Place.answers = [Receipt(), Refused("CHANNEL_FAILURE", "no")]
    to = handler(report_delivered=True)
    assert await to.deliver([record(installation, 1, report)]) == []
    (letter,) = await to.deliver([record(installation, 2, report)])
    assert letter.topic == installation.topics.dead_letters


async def test_a_dead_letter_that_fails_is_not_put_there_again(installation: Installation, handler: Handler) -> None:
    Place.answers = [Refused("CHANNEL_FAILURE", "no")]
    dead = codec.encode(installation.received(1), installation.topics.dead_letters)
    assert await handler().deliver([installation.record(dead)]) == []


async def test_a_record_that_is_no_event_is_kept(installation: Installation, handler: Handler) -> None:
    (letter,) = await handler().deliver([Record("omnibus.events", 0, 1, 0, b"k", b"not json")])
    assert dict(letter.headers)["dead_error"] == b"InvalidPayload"
    assert Place.seen == []


async def test_the_destinations_own_ids_and_records_are_kept(installation: Installation, handler: Handler) -> None:
    also = Out(topic="omnibus.commands", key=b"conv_1", value=b"{}")
    Place.answers = [Receipt(external_ids={"evt_conv_1_1": "ticket-7"}, also=(also,))]
    first, outcome = await handler(report_delivered=True).deliver([record(installation)])
    assert first is also
    assert result_of(installation, outcome).external_id == "ticket-7"


async def test_only_the_kinds_asked_for_arrive(installation: Installation, handler: Handler) -> None:
    for pattern, arrives in (("message.received", True), ("message.*", True), ("messages.*", False), ("call.*", False)):
        Place.seen = []
        await handler(events=(pattern,)).deliver([record(installation)])
        assert bool(Place.seen) is arrives


async def test_a_body_that_travelled_apart_is_fetched(installation: Installation, handler: Handler) -> None:
    out = codec.encode(installation.received(1), "omnibus.events")
    assert out.value is not None
    uri = blob_uri(out.value)
    apart = Record("omnibus.events", 0, 1, 0, out.key, b"", (*out.headers, ("ce_dataref", uri.encode())))
    outcome, _ = await handler().deliver([apart])
    assert "BlobMissing" in str(result_of(installation, outcome).reason)
    await installation.blobs.put(uri, out.value)
    assert await handler().deliver([apart]) == []
    assert Place.seen == [["evt_conv_1_1"]]


async def test_a_destination_that_cannot_be_made_is_in_trouble_until_it_can(
    installation: Installation, handler: Handler
) -> None:
    Place.refusal = Misconfigured("token", "expired")
    to = handler()
    to.prepare()
    assert str(to.trouble) == "token: expired"
    with pytest.raises(Misconfigured):
        await to.deliver([record(installation)])
    Place.refusal = None
    assert await to.deliver([record(installation)]) == []
    assert to.trouble is None
    await to.close()
    assert Place.closed == 1


def test_a_missing_library_is_a_setting_to_correct(handler: Handler) -> None:
    to = handler(make="a_library_that_is_not_there:Sink")
    to.prepare()
    assert "cannot be imported" in str(to.trouble)
