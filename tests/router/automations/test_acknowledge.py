"""The acknowledgement: in the contact's language, once, and then people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from omnibus import clock
from omnibus.errors import Misconfigured
from omnibus.http import Http
from omnibus.model import events
from omnibus.model.codec import Event, decode
from omnibus.model.content import Text
from omnibus.model.entities import Author, Controller
from omnibus.model.events import ConversationAssigned, Reply, Tag, Transfer
from router.automations.acknowledge import AUTOMATION, AcknowledgeSettings, check, filled, presentable
from router.automations.contract import Answer, AutomationTools, Heard
from router.hours import CalendarSettings, calendars_of
from router.rehearsal import START_MS, Rehearsal, a_conversation


async def answer(
    router: Rehearsal, http: Http, *, attributes: dict[str, Any] | None = None, texts: Any = None, **message: Any
) -> Sequence[Answer]:
    """What it says when it is given a conversation with that message."""
    received = decode(router.received("c1", Text(text="hi"), **message)).data.message
    conversation = a_conversation(attributes=attributes or {})
    event = Event(
        id="evt_1",
        type="omnibus.conversation.assigned.v1",
        source=events.ROUTER,
        subject=conversation.id,
        time=START_MS,
        data=ConversationAssigned(conversation=conversation, to=Controller(type="automation", id="ack")),
    )
    settings = AcknowledgeSettings() if texts is None else AcknowledgeSettings(texts=texts)
    part = AUTOMATION.make(settings, AutomationTools(name="ack", hand_over_to="general", http=http))
    return await part.answer(
        Heard(name="ack", event=event, conversation_id=conversation.id, conversation=conversation, recent=(received,))
    )


def words(commands: Sequence[Answer]) -> str:
    [reply] = [command for command in commands if isinstance(command, Reply)]
    assert isinstance(reply.content, Text)
    return reply.content.text


async def test_it_answers_notes_that_it_did_and_leaves(router: Rehearsal, http: Http) -> None:
    commands = await answer(router, http)

    assert [type(command) for command in commands] == [Reply, Tag, Transfer]
    assert isinstance(commands[0], Reply)
    assert commands[0].auto_submitted == "auto_reply"
    assert isinstance(commands[2], Transfer)
    assert commands[2].to == "queue:general"


@pytest.mark.parametrize(
    ("language", "begins"), [("pt-BR", "Obrigado, Ana."), ("es", "Gracias, Ana."), ("ja", "Thank you"), (None, "Thank")]
)
async def test_it_speaks_the_contacts_language(
    router: Rehearsal, http: Http, language: str | None, begins: str
) -> None:
    assert words(await answer(router, http, language=language)).startswith(begins)


async def test_a_conversation_is_acknowledged_once(router: Rehearsal, http: Http) -> None:
    said = clock.from_ms(START_MS - 60_000).isoformat()

    [only] = await answer(router, http, attributes={"acknowledged_at": said})

    assert isinstance(only, Transfer)


async def test_and_again_after_its_window(router: Rehearsal, http: Http) -> None:
    said = (clock.from_ms(START_MS) - timedelta(days=1)).isoformat()

    assert len(await answer(router, http, attributes={"acknowledged_at": said})) == 3


async def test_without_a_name_there_is_no_gap(router: Rehearsal, http: Http) -> None:
    assert words(await answer(router, http, author=Author(type="contact"))).startswith("Thank you. We have")


@pytest.mark.parametrize("name", ["win at http://spam.example.com", "www.example.com", "a@b", "spam.example/x"])
def test_a_link_in_a_name_is_not_repeated(name: str) -> None:
    assert presentable(name) == ""


def test_a_name_is_one_short_line() -> None:
    assert presentable("Ana\n\u202eMaria" + "x" * 100) == ("Ana Maria" + "x" * 100)[:60]


def test_a_value_is_never_read_as_a_template() -> None:
    assert filled("Hi {name}, {queue}", {"name": "{queue}", "queue": "general"}) == "Hi {queue}, general"


@pytest.mark.parametrize("texts", [{}, {"en": "Hi {nam}"}, {"en": "Hi {name.__class__}"}])
def test_a_wrong_text_is_found_before_anything_starts(texts: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match=r"automations\.ack\.texts"):
        check(AcknowledgeSettings(texts=texts), "ack")


async def test_outside_the_hours_it_says_when_somebody_is_there(router: Rehearsal, http: Http) -> None:
    office = calendars_of({"office": CalendarSettings(zone="America/Sao_Paulo", hours={"mon-fri": "09:00-17:00"})})
    settings = AcknowledgeSettings(calendar="office", out_of_hours_texts={"en": "Back on {opens}."})
    tools = AutomationTools(name="ack", hand_over_to="general", http=http, calendars=office)
    part = AUTOMATION.make(settings, tools)
    received = decode(router.received("c1", Text(text="hi"))).data.message

    async def said_at(time_ms: int) -> str:
        event = Event(
            id="evt_1",
            type="omnibus.message.received.v1",
            source=events.ROUTER,
            subject="conv_c1",
            time=time_ms,
            data=events.MessageReceived(message=received),
        )
        heard = Heard(name="ack", event=event, conversation_id="conv_c1", conversation=None, recent=())
        return words(await part.answer(heard))

    assert await said_at(START_MS) == "Back on 2026-01-05 09:00."
    assert (await said_at(START_MS + 4 * 3_600_000)).startswith("Thank you")


def test_texts_for_the_night_need_a_calendar() -> None:
    with pytest.raises(Misconfigured, match="need a calendar"):
        check(AcknowledgeSettings(out_of_hours_texts={"en": "zzz"}), "ack")
