"""Long messages in pieces: one message in the end, in whatever order the pieces come and whatever comes twice."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from normalizer.policy import Policy
from normalizer.stage import NormalizerStage, spec
from omnibus import clock
from omnibus.bus.port import Out, Record
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account, Capabilities, Channel
from omnibus.channel.events import Fragment, Message, Party, from_json, to_json
from omnibus.config.fields import Settings
from omnibus.model.codec import Event, decode
from omnibus.model.content import Text
from omnibus.model.raw import RawEvent, encode_raw
from omnibus.testing.memory_state import MemoryBacking, run

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
TOPICS = Topics()
ANA = Party(scheme="e164", value="+12025550147")
WORDS = ("The parcel ", "came today, ", "thank you.")


class NoSettings(Settings, frozen=True, kw_only=True):
    """The channel under test needs none."""


CHANNEL = Channel(
    name="said",
    title="Said",
    docs="https://example.org",
    settings=NoSettings,
    capabilities=Capabilities(),
    emits=frozenset({Message}),
    map=lambda raw: from_json(raw.body),
    threads=lambda raw: [event.thread for event in from_json(raw.body)],
    receive={},
)


class Normalizer:
    """One partition's normalizer in memory; `at` is the time."""

    def __init__(self) -> None:
        account = Account(name="sms", channel=CHANNEL, settings=NoSettings(), inactivity=timedelta(days=1))
        self._stage = NormalizerStage({"sms": account}, TOPICS, Policy())
        self._spec = spec(TOPICS, ["said"], Policy())
        self._backing = MemoryBacking()
        self._offset = 0
        self.at = START

    def receive(self, *messages: Message) -> list[Event]:
        raw = RawEvent(
            id=f"raw_{self._offset}",
            channel="said",
            account="sms",
            received_at=self.at,
            body=to_json(list(messages)),
        )
        self._offset += 1
        return self._step(Record(TOPICS.raw("said"), 3, self._offset, 0, b"sms", encode_raw(raw), ()))

    def wait(self, by: timedelta) -> list[Event]:
        """Let time pass, and what is due happen."""
        self.at += by
        return self._step()

    def _step(self, *records: Record) -> list[Event]:
        result = run(self._stage, self._spec, *records, backing=self._backing, now_ms=clock.to_ms(self.at), partition=3)
        assert not result.dead
        return [decode(as_record(out)) for out in result.outs if out.topic == TOPICS.events]


def as_record(out: Out) -> Record:
    return Record(out.topic, 0, 0, out.ts_ms or 0, out.key, out.value, out.headers)


def piece(number: int, *, total: int = 3, key: str = "7", text: str | None = None, native_id: str = "p") -> Message:
    return Message(
        thread="ana",
        at=START + timedelta(seconds=number),
        native_id=f"{native_id}-{number}",
        sender=ANA,
        content=Text(text=text if text is not None else WORDS[number - 1]),
        fragment=Fragment(key=key, number=number, total=total),
    )


def told(events: list[Event]) -> list[str]:
    return [event.data.message.content.text for event in events if event.type == "omnibus.message.received.v1"]


def corrected(events: list[Event]) -> list[str]:
    return [event.data.content.text for event in events if event.type == "omnibus.message.edited.v1"]


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_pieces_in_any_order_are_the_same_message(order: tuple[int, ...]) -> None:
    normalizer = Normalizer()
    steps = [normalizer.receive(piece(number)) for number in order]
    assert [told(events) for events in steps] == [[], [], ["The parcel came today, thank you."]]
    message = steps[2][-1].data.message
    assert message.native.message_id == "p-1"
    assert message.created_at == START + timedelta(seconds=1)
    assert normalizer.wait(timedelta(minutes=5)) == [], "nothing is waited for any more"


def test_pieces_in_one_request_are_one_message() -> None:
    assert told(Normalizer().receive(piece(2), piece(1), piece(3))) == ["The parcel came today, thank you."]


def test_a_piece_that_is_repeated_changes_nothing() -> None:
    normalizer = Normalizer()
    normalizer.receive(piece(1))
    assert normalizer.receive(piece(1)) == []
    assert told(normalizer.receive(piece(3), piece(2))) == ["The parcel came today, thank you."]
    assert normalizer.receive(piece(2)) == [], "also after the message is told"


def test_a_piece_that_never_comes_does_not_hold_up_the_others() -> None:
    normalizer = Normalizer()
    normalizer.receive(piece(3))
    normalizer.receive(piece(1))
    assert normalizer.wait(timedelta(seconds=59)) == []
    events = normalizer.wait(timedelta(seconds=1))
    assert told(events) == ["The parcel thank you."]
    reference = events[-1].data.message.raw_ref
    assert (reference.topic, reference.partition) == (TOPICS.raw("said"), 3), "closing finds its way back by it"


def test_a_piece_that_is_late_corrects_the_message() -> None:
    normalizer = Normalizer()
    normalizer.receive(piece(1))
    normalizer.receive(piece(3))
    (message,) = (event.data.message for event in normalizer.wait(timedelta(minutes=1)) if "received" in event.type)
    events = normalizer.receive(piece(2))
    assert (told(events), corrected(events)) == ([], ["The parcel came today, thank you."])
    assert events[0].data.message_id == message.id


def test_a_reference_that_comes_again_is_another_message() -> None:
    """It is a number up to 255 and begins again with each phone's 256th long message."""
    normalizer = Normalizer()
    normalizer.receive(piece(1), piece(2), piece(3))
    again = normalizer.receive(*(piece(number, native_id="q") for number in (1, 2, 3)))
    assert told(again) == ["The parcel came today, thank you."]


def test_an_unfinished_message_is_told_when_its_reference_comes_again() -> None:
    normalizer = Normalizer()
    normalizer.receive(piece(1))
    events = normalizer.receive(piece(1, native_id="q", text="Something "))
    assert told(events) == ["The parcel "]
    assert told(normalizer.receive(piece(2, native_id="q", text="else"), piece(3, native_id="q", text="."))) == [
        "Something else."
    ]


def test_references_of_different_people_do_not_meet() -> None:
    normalizer = Normalizer()
    normalizer.receive(piece(1, total=2))
    other = Message(
        thread="rui",
        at=START,
        native_id="r-2",
        sender=Party(scheme="e164", value="+12025550148"),
        content=Text(text="other"),
        fragment=Fragment(key="7", number=2, total=2),
    )
    assert normalizer.receive(other) == []


def test_normalising_again_gives_the_same_ids() -> None:
    def story() -> list[str]:
        normalizer = Normalizer()
        steps = [normalizer.receive(piece(2)), normalizer.wait(timedelta(minutes=2)), normalizer.receive(piece(1))]
        return [event.id for events in steps for event in events]

    assert story() == story()
