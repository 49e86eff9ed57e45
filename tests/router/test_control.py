"""Who has the conversation: automations, people, hand-overs and time-outs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from omnibus.model.entities import Author, Controller
from omnibus.model.events import Reply, Resolve, Transfer
from router.plan import Plan
from router.rehearsal import Rehearsal, a_reply
from router.rules.rule import Rule

FAQ = Controller(type="automation", id="faq")
BILLING = Controller(type="queue", id="billing")
BOT = Author(type="bot", id="faq")


def ledger(router: Rehearsal) -> list[str]:
    """The control entries, in order."""
    return [kind.removeprefix("control.") for kind in router.kinds("omnibus.events") if kind.startswith("control.")]


def test_an_automation_is_offered_the_conversation_and_accepts_it_by_answering(bot_router: Rehearsal) -> None:
    bot_router.says("what are your hours?")
    assert bot_router.conversation().controller == FAQ
    assert bot_router.conversation().queue is None
    assert bot_router.kinds("omnibus.automation.faq") == ["conversation.assigned", "control.offered"]

    bot_router.commands(a_reply("9 to 5", bot="faq"))

    assert ledger(bot_router) == ["offered", "accepted"]
    assert bot_router.kinds("omnibus.outbound.webchat") == ["message.outbound"]


def test_an_automation_that_keeps_silent_loses_the_conversation_to_its_queue(bot_router: Rehearsal) -> None:
    bot_router.says("hello?")
    bot_router.later(timedelta(seconds=29))
    assert bot_router.conversation().controller == FAQ

    bot_router.later(timedelta(seconds=1))

    assert bot_router.conversation().controller == BILLING
    assert ledger(bot_router) == ["offered", "timed_out", "passed"]
    assert bot_router.kinds("omnibus.automation.faq")[-2:] == ["control.timed_out", "conversation.unassigned"]
    [assigned, _] = bot_router.on("omnibus.queue.billing")
    assert assigned.data.summary == "Ana: hello?"


def test_an_automation_that_answered_is_not_timed_out(bot_router: Rehearsal) -> None:
    bot_router.says("hello?")
    bot_router.commands(a_reply("hi!", bot="faq"))
    bot_router.later(timedelta(minutes=5))
    assert bot_router.conversation().controller == FAQ

    bot_router.says("and on Sundays?")
    bot_router.later(timedelta(seconds=30))
    assert bot_router.conversation().controller == BILLING


@pytest.mark.parametrize(
    "words", ["Quero falar com um atendente", "can I talk to a real person?", "¿Puedo hablar con una persona?"]
)
def test_asking_for_a_person_ends_the_automation(bot_router: Rehearsal, words: str) -> None:
    bot_router.says("what are your hours?")
    bot_router.commands(a_reply("9 to 5", bot="faq"))

    bot_router.says(words)

    assert bot_router.conversation().controller == BILLING
    [assigned, passed] = bot_router.on("omnibus.queue.billing")
    assert assigned.data.recent[-1].content.text == words
    assert assigned.data.summary == f"Ana: what are your hours?\nbot: 9 to 5\nAna: {words}"
    assert passed.data.reason == "asked for a person"
    assert "message.received" not in bot_router.kinds("omnibus.automation.faq")


def test_a_late_answer_of_an_automation_does_not_talk_over_a_person(bot_router: Rehearsal) -> None:
    bot_router.says("hello?")
    bot_router.later(timedelta(seconds=30))

    bot_router.commands(a_reply("Sorry for the wait, 9 to 5!", bot="faq"))

    [failed] = [event for event in bot_router.on("omnibus.queue.billing") if event.type.endswith("delivery.v1")]
    assert failed.data.delivery.reason.code == "NOT_CONTROLLER"
    assert not bot_router.on("omnibus.outbound.webchat")


def test_once_a_person_answered_automations_keep_silent(bot_router: Rehearsal) -> None:
    bot_router.says("hello?")
    bot_router.commands(a_reply("this is Bea"))

    assert bot_router.conversation().controller == BILLING
    assert bot_router.conversation().assignee == "agent-7"
    bot_router.commands(a_reply("9 to 5!", bot="faq"))
    assert len(bot_router.on("omnibus.outbound.webchat")) == 1


def test_a_person_may_give_the_conversation_back_to_an_automation(bot_router: Rehearsal) -> None:
    bot_router.says("hello?")
    bot_router.commands(a_reply("this is Bea"))
    bot_router.commands(Transfer(to="automation:faq"))

    assert bot_router.conversation().controller == FAQ
    assert ledger(bot_router)[-2:] == ["released", "offered"]
    bot_router.commands(a_reply("9 to 5!", bot="faq"))
    assert len(bot_router.on("omnibus.outbound.webchat")) == 2


def test_resolving_releases_the_conversation(router: Rehearsal) -> None:
    router.says("hello?")
    router.commands(a_reply("done"))
    router.commands(Resolve())

    assert ledger(router) == ["passed", "accepted", "released"]


def test_a_transfer_leaves_one_queue_and_enters_the_other(router: Rehearsal) -> None:
    router.says("hello?")
    router.commands(Transfer(to="queue:billing", reason="about an invoice"))

    assert router.kinds("omnibus.queue.general")[-1] == "conversation.unassigned"
    assert router.kinds("omnibus.queue.billing") == ["conversation.assigned", "control.passed"]
    router.says("thanks")
    assert router.kinds("omnibus.queue.billing")[-1] == "message.received"
    assert router.kinds("omnibus.queue.general")[-1] == "conversation.unassigned"


def test_a_transfer_to_where_it_is_changes_nothing(router: Rehearsal) -> None:
    router.says("hello?")

    assert router.commands(Transfer(to="queue:general")) == []


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"auto_submitted": "auto_reply"}, "automatic message (auto_reply)"),
        ({"auto_submitted": "bounce"}, "automatic message (bounce)"),
        ({"attributes": {"loop_suspected": True}}, "loop suspected"),
        ({"origin": "backfill"}, "backfill"),
    ],
)
def test_no_automation_gets_what_a_program_wrote_or_what_is_long_past(
    bot_router: Rehearsal, message: dict[str, Any], why: str
) -> None:
    bot_router.says("out of office", **message)

    assert bot_router.conversation().queue == "general"
    [tried] = bot_router.decisions()[0].tried
    assert (tried.target, tried.result, tried.why) == ("bot first", "skipped", why)


def test_an_automatic_message_in_between_is_kept_from_the_automation(bot_router: Rehearsal) -> None:
    bot_router.says("hello?")
    bot_router.commands(a_reply("hi", bot="faq"))
    before = bot_router.kinds("omnibus.automation.faq")

    bot_router.says("I am on holiday", auto_submitted="auto_reply")

    assert bot_router.kinds("omnibus.automation.faq") == before


def test_a_suspected_loop_goes_to_people(bot_router: Rehearsal) -> None:
    bot_router.says("hello?")
    bot_router.says("hello?", attributes={"loop_suspected": True})

    assert bot_router.conversation().controller == BILLING


def test_an_acknowledgement_is_no_answer(bot_router: Rehearsal) -> None:
    """Who got an automatic receipt still waits for a person."""
    bot_router.says("hello?")
    reply = a_reply("we got it", bot="faq")
    bot_router.commands(Reply(content=reply.content, author=BOT, auto_submitted="auto_reply"))

    conversation = bot_router.conversation()
    assert conversation.status == "new"
    assert conversation.waiting_since is not None
    assert conversation.first_response_at is None


def test_an_automation_that_was_removed_loses_its_conversations(
    bot_router: Rehearsal, plan: Callable[..., Plan]
) -> None:
    bot_router.says("hello?")
    bot_router.plan = plan(Rule(name="all", to="queue:general"), automations={})

    bot_router.later(timedelta(minutes=5))

    assert bot_router.conversation().queue == "general"
