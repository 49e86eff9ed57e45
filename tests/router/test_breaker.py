"""A conversation that is too fast for a person, and the echoes of our own side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from omnibus import clock
from omnibus.model import events
from omnibus.model.content import Text
from omnibus.model.entities import Author, Message, Native
from omnibus.model.events import MessageSent, Transfer
from omnibus.telemetry import metrics
from router.plan import Plan
from router.rehearsal import ACCOUNT, CHANNEL, Rehearsal, a_reply, conversation_id
from router.rules.rule import Rule
from router.sections import BreakerSettings

BOT = Rule(name="bot", to="automation:faq")


@pytest.fixture
def router(plan: Callable[..., Plan]) -> Rehearsal:
    """A bot first, and a breaker at four messages a minute."""
    settings = BreakerSettings(messages=4, within=timedelta(minutes=1), release_after=timedelta(minutes=10))
    return Rehearsal(plan(BOT, breaker=settings))


def chatter(router: Rehearsal, count: int, every: timedelta = timedelta(seconds=1)) -> None:
    for number in range(count):
        router.says(f"beep {number}")
        router.commands(a_reply("boop", bot="faq"))
        router.later(every)


def test_two_machines_that_answer_each_other_are_parted(router: Rehearsal) -> None:
    with metrics.use(metrics.Metrics()) as counted:
        chatter(router, 10)
        assert b'omnibus_facts_total{fact="breaker tripped"} 1.0' in counted.render()

    assert router.conversation().controller.id == "billing"
    assert router.conversation().attributes["breaker"] == "tripped"
    assert router.kinds("omnibus.outbound.webchat") == ["message.outbound"] * 4
    assert "conversation.updated" in router.kinds("omnibus.events")
    [tripped] = [event.data for event in router.on("omnibus.events") if event.type == "omnibus.breaker.tripped.v1"]
    assert tripped.messages == 5
    assert tripped.release_at - tripped.at == timedelta(minutes=10)
    [passed] = [event for event in router.on("omnibus.events") if event.type == "omnibus.control.passed.v1"]
    assert passed.data.reason == "too many messages"


def test_a_person_who_writes_a_lot_over_time_trips_nothing(router: Rehearsal) -> None:
    chatter(router, 20, timedelta(seconds=20))

    assert router.conversation().controller.id == "faq"
    assert "breaker" not in router.conversation().attributes


def test_no_automation_gets_it_until_it_was_quiet(router: Rehearsal) -> None:
    chatter(router, 6)
    back = Transfer(to="automation:faq")
    router.commands(back)
    assert router.conversation().controller.id == "billing"
    assert router.on("omnibus.events")[-1].data.code == "RATE_LIMITED"

    router.later(timedelta(minutes=9))
    router.says("still going")
    router.later(timedelta(minutes=9))
    assert router.conversation().attributes["breaker"] == "tripped"
    router.later(timedelta(minutes=1))

    assert "breaker" not in router.conversation().attributes
    router.commands(back)
    assert router.conversation().controller.id == "faq"


def test_imported_history_trips_nothing(router: Rehearsal) -> None:
    router.step(router.opened(origin="backfill"))
    for number in range(20):
        router.step(router.received("c1", Text(text=f"old {number}"), origin="backfill"))

    assert "breaker" not in router.conversation().attributes


def test_the_conversation_says_whether_a_machine_wrote_last(router: Rehearsal) -> None:
    """The sender lets no machine answer it."""
    router.says("out of office", auto_submitted="auto_reply")
    assert router.conversation().attributes["last_inbound_auto_submitted"] == "auto_reply"

    router.says("I am back")
    assert "last_inbound_auto_submitted" not in router.conversation().attributes


# --- what the channel shows of our own side ----------------------------------------------------


def echo(router: Rehearsal, text: str, native: str, **fields: object) -> None:
    """The normalizer tells of a message that our side wrote."""
    at = clock.from_ms(router.now_ms)
    message = Message(
        **{  # type: ignore[arg-type]  # a table of fields
            "id": f"msg_{native}",
            "conversation_id": conversation_id("c1"),
            "channel": CHANNEL,
            "channel_account_id": ACCOUNT,
            "direction": "outbound",
            "author": Author(type="agent"),
            "content": Text(text=text),
            "status": "sent",
            "created_at": at,
            "received_at": at,
            "native": Native(message_id=native),
            **fields,
        }
    )
    topic = router.plan.topics.events
    router.step(router.record(topic, "message.sent", MessageSent(message=message), events.NORMALIZER))


def replied(router: Rehearsal, text: str) -> str:
    """The bot replies; the id of its message."""
    router.commands(a_reply(text, bot="faq"))
    [*_, sent] = router.on("omnibus.outbound.webchat")
    message_id: str = sent.data.message.id
    return message_id


def test_the_echo_of_our_own_reply_is_nothing_new(router: Rehearsal) -> None:
    router.says("hi")
    message_id = replied(router, "hello")
    router.step(router.outcome("sent", message_id, native_ids=["n-1"]))
    before = len(router.written)

    echo(router, "hello", "n-1")

    assert len(router.written) == before
    assert router.conversation().controller.id == "faq"


def test_an_echo_that_is_faster_than_the_senders_outcome_is_known_by_its_words(router: Rehearsal) -> None:
    router.says("hi")
    message_id = replied(router, "hello")

    echo(router, "hello", "n-1")
    assert router.conversation().controller.id == "faq"
    router.step(router.receipt("delivered", native_id="n-1"))

    [*_, delivery] = router.on("omnibus.events")
    assert delivery.data.message_id == message_id


def test_a_person_who_answers_elsewhere_silences_the_bot(router: Rehearsal) -> None:
    router.says("hi")
    echo(router, "this is Bo, I called you", "n-2")

    assert router.conversation().controller.id == "billing"
    assert router.conversation().first_response_at is not None
    router.commands(a_reply("beep", bot="faq"))
    assert router.on("omnibus.events")[-1].data.delivery.reason.code == "NOT_CONTROLLER"


def test_an_automatic_message_of_our_side_is_no_persons(router: Rehearsal) -> None:
    router.says("hi")
    echo(router, "we are closed", "n-3", auto_submitted="auto_reply")

    assert router.conversation().controller.id == "faq"
    assert router.conversation().first_response_at is None
