"""Surveys: asked once, answered by button or by words, attributed to the conversation they are about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibus.bus.port import Out
from omnibus.model.content import ChoiceResponse, Choices, Text
from omnibus.model.events import Reopen, Resolve
from router.automations.survey import SurveySettings, score_of
from router.plan import AccountPlan, AutomationPlan, Plan
from router.queues import QueuePlan
from router.rehearsal import ACCOUNT, Rehearsal, a_reply, conversation_id


@pytest.fixture
def make(plan: Callable[..., Plan]) -> Callable[..., Rehearsal]:
    """A router whose queue asks how it was."""

    def router(has_choices: bool = True, **settings: Any) -> Rehearsal:
        ask = AutomationPlan(hand_over_to="general", survey=SurveySettings(**settings))
        return Rehearsal(
            plan(
                queue_plans={"general": QueuePlan(survey="ask")},
                automations={"ask": ask},
                accounts={ACCOUNT: AccountPlan(has_choices=has_choices)},
            )
        )

    return router


def resolved(router: Rehearsal, name: str = "c1", **conversation: Any) -> None:
    """A person asked, an agent answered and resolved."""
    if conversation:
        router.step(router.opened(name, **conversation))
    router.says("hi", name)
    router.commands(a_reply("hello"), name)
    router.commands(Resolve(), name)
    router.later(timedelta(0))


def asked(router: Rehearsal) -> list[Any]:
    """The content of what was asked."""
    sent = router.on("omnibus.outbound.webchat")
    return [event.data.message.content for event in sent if event.data.message.author.id == "ask"]


def answers(router: Rehearsal) -> list[Any]:
    return [event.data.response for event in router.on("omnibus.events") if "survey.answered" in event.type]


def test_after_the_resolution_it_asks_with_buttons(make: Callable[..., Rehearsal]) -> None:
    router = make(after=timedelta(minutes=10))
    resolved(router, language="pt-BR")
    assert asked(router) == []
    router.later(timedelta(minutes=10))

    [question] = asked(router)
    assert isinstance(question, Choices)
    assert question.options[0].title == "Muito insatisfeito"
    assert len(question.options) == 5
    assert "survey.sent" in router.kinds("omnibus.queue.general")
    [outbound] = [e for e in router.on("omnibus.outbound.webchat") if e.data.message.author.id == "ask"]
    assert outbound.data.message.auto_submitted == "auto_generated"
    assert router.conversation().status == "resolved"


@pytest.mark.parametrize(("has_choices", "kind"), [(False, "csat"), (True, "nps"), (False, "ces")])
def test_where_there_are_no_buttons_for_it_it_asks_for_a_number(
    make: Callable[..., Rehearsal], has_choices: bool, kind: str
) -> None:
    router = make(has_choices, kind=kind)
    resolved(router)

    [question] = asked(router)
    assert isinstance(question, Text)
    assert "number from" in question.text


def test_a_button_is_an_answer_and_reopens_nothing(make: Callable[..., Rehearsal]) -> None:
    router = make()
    resolved(router)
    option = asked(router)[0].options[3]
    router.later(timedelta(hours=1))
    router.step(router.received("c1", ChoiceResponse(option_id=option.id, title=option.title)))

    [response] = answers(router)
    assert (response.score, response.kind, response.agent_id) == (4, "csat", "agent-7")
    assert response.conversation_id == conversation_id("c1")
    assert (response.scale.min, response.scale.max) == (1, 5)
    assert router.conversation().status == "resolved"
    assert router.conversation().reopen_count == 0
    assert asked(router)[-1] == Text(text="Thank you for your answer!")
    router.later(timedelta(days=30))
    assert "survey.expired" not in router.kinds("omnibus.events")


def test_words_are_an_answer_with_a_comment(make: Callable[..., Rehearsal]) -> None:
    router = make(False, kind="nps")
    resolved(router)
    router.says("9, very helpful!")

    [response] = answers(router)
    assert (response.score, response.comment) == (9, "very helpful!")
    assert "message.received" in router.kinds("omnibus.queue.general")


def test_something_else_is_a_question_and_reopens(make: Callable[..., Rehearsal]) -> None:
    router = make()
    resolved(router)
    router.says("it broke again, since 3 days")

    assert answers(router) == []
    assert router.conversation().status == "open"
    router.says("5")
    assert answers(router)[0].score == 5
    assert router.conversation().status == "open"


def test_nobody_answers(make: Callable[..., Rehearsal]) -> None:
    router = make(expires_after=timedelta(days=1))
    resolved(router)
    router.later(timedelta(days=1))

    assert router.kinds("omnibus.events").count("survey.expired") == 1


def test_a_late_answer_counts_for_its_conversation(make: Callable[..., Rehearsal]) -> None:
    router = make(expires_after=timedelta(days=1))
    resolved(router)
    router.later(timedelta(days=2))
    router.says("4")

    assert [response.score for response in answers(router)] == [4]


def test_a_late_answer_in_the_next_conversation_counts_for_the_last_one(make: Callable[..., Rehearsal]) -> None:
    router = make()
    resolved(router, contact_id="cnt_1")
    router.step(router.closed())
    router.later(timedelta(days=2))
    router.step(router.opened("next", contact_id="cnt_1"), router.received("next", Text(text="⭐⭐⭐⭐")))

    [response] = answers(router)
    assert (response.score, response.conversation_id, response.agent_id) == (4, conversation_id("c1"), "agent-7")
    assert router.conversation("next").status == "resolved"
    assert len(router.decisions()) == 1
    router.says("and a new question", "next")
    assert router.conversation("next").queue == "general"


@pytest.mark.parametrize("text", ["2 things are broken", "hello"])
def test_a_new_question_is_no_late_answer(make: Callable[..., Rehearsal], text: str) -> None:
    router = make()
    resolved(router, contact_id="cnt_1")
    router.step(router.closed())
    router.step(router.opened("next", contact_id="cnt_1"), router.received("next", Text(text=text)))

    assert answers(router) == []
    assert router.conversation("next").queue == "general"


def test_a_contact_is_asked_once_in_the_period(make: Callable[..., Rehearsal]) -> None:
    router = make(once_per=timedelta(days=30))
    for name in ("a", "b"):
        resolved(router, name, contact_id="cnt_1")
    resolved(router, "c", contact_id="cnt_2")
    assert len(asked(router)) == 2

    router.later(timedelta(days=31))
    resolved(router, "d", contact_id="cnt_1")
    assert len(asked(router)) == 3


def test_who_reopens_before_the_question_is_not_asked(make: Callable[..., Rehearsal]) -> None:
    router = make(after=timedelta(minutes=10))
    resolved(router)
    router.commands(Reopen())
    router.later(timedelta(minutes=10))
    assert asked(router) == []

    router.commands(Resolve())
    router.later(timedelta(minutes=10))
    assert len(asked(router)) == 1


def test_nobody_is_asked_about_what_no_person_answered(make: Callable[..., Rehearsal]) -> None:
    router = make()
    router.says("spam")
    router.commands(Resolve())
    router.later(timedelta(days=1))

    assert asked(router) == []


def test_a_survey_that_is_no_longer_configured_is_forgotten(make: Callable[..., Rehearsal]) -> None:
    router = make(after=timedelta(minutes=10))
    resolved(router)
    router.plan = msgspec.structs.replace(router.plan, automations={})
    router.later(timedelta(minutes=10))

    assert asked(router) == []
    assert router.dead == []


@pytest.mark.parametrize(
    ("text", "score", "comment"),
    [
        ("5", 5, None),
        ("5/5", 5, None),
        ("nota 4", 4, None),
        ("4 de 5", 4, None),
        ("*3*", 3, None),
        ("Cinco!", 5, None),
        ("tres", 3, None),
        ("⭐️⭐️", 2, None),
        ("2 - slow answer", 2, "slow answer"),
        ("I give 4", 4, None),
        ("0", None, None),
        ("6", None, None),
        ("55", None, None),
        ("4.5", None, None),
        ("-3", None, None),
        ("my order 3 is late", None, None),
        ("", None, None),
        ("thank you", None, None),
    ],
)
def test_what_counts_as_an_answer(text: str, score: int | None, comment: str | None) -> None:
    assert score_of(text, 1, 5) == (None if score is None else (score, comment))


@given(st.text(max_size=3_000))
def test_no_text_is_a_score_off_the_scale(text: str) -> None:
    found = score_of(text, 0, 10)

    assert found is None or 0 <= found[0] <= 10


# --- forgetting ---------------------------------------------------------------------------------


def surveys_known(router: Rehearsal) -> int:
    return len(router.table.scan(b"survey/"))


def test_what_a_contact_was_asked_is_forgotten_when_it_may_be_asked_again(make: Callable[..., Rehearsal]) -> None:
    router = make(once_per=timedelta(days=20), expires_after=timedelta(days=3), late_for=timedelta(days=30))
    resolved(router)
    assert surveys_known(router) == 1
    router.later(timedelta(days=32))
    assert surveys_known(router) == 1

    router.later(timedelta(days=2))

    assert surveys_known(router) == 0


def test_a_newer_entry_of_another_partition_outlives_the_older_ones_timer(make: Callable[..., Rehearsal]) -> None:
    router = make(once_per=timedelta(days=1), expires_after=timedelta(days=1), late_for=timedelta(0))
    resolved(router)
    [(key, value)] = router.table.scan(b"survey/")
    newer = msgspec.json.decode(value) | {"sent_ms": router.now_ms + 3_600_000}
    router.table.take([Out(router.plan.topics.routing, key, msgspec.json.encode(newer))])

    router.later(timedelta(days=2))

    assert surveys_known(router) == 1
