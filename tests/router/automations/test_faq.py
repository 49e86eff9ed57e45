"""Questions and answers: found, admitted not to be known, and whether they helped; the whole loop with the router."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omnibus.bus.port import Record
from omnibus.bus.topics import Topics
from omnibus.errors import Misconfigured
from omnibus.http import Http
from omnibus.model.content import ChoiceResponse, Choices, Text
from omnibus.model.events import SelfService
from router.automations.contract import AutomationTools
from router.automations.faq import AUTOMATION, Faq, FaqSettings, check
from router.automations.worker import AutomationWorker
from router.plan import Plan
from router.rehearsal import MemoryTable, Rehearsal
from router.rules.rule import Rule

PAGE = """# en
## How long does a delivery take?
## When will my order arrive?
Three to five days.

## How do I return something?
Within 30 days, with the slip.
# pt
## Quanto tempo demora a entrega?
De três a cinco dias.
"""


class Talk:
    """A contact, the router and the automation, with nobody else in the room."""

    def __init__(self, router: Rehearsal, worker: AutomationWorker, table: MemoryTable, faq: Faq) -> None:
        self.router = router
        self.faq = faq
        self._worker = worker
        self._table = table
        self._read = 0

    async def says(self, text: str, conversation: str = "c1", **message: Any) -> list[str]:
        """The contact writes; what is written back."""
        before = len(self._replies())
        self.router.says(text, conversation, **message)
        await self._settle()
        return self._replies()[before:]

    async def chooses(self, option: str) -> list[str]:
        before = len(self._replies())
        self.router.step(self.router.received("c1", ChoiceResponse(option_id=option)))
        await self._settle()
        return self._replies()[before:]

    def told(self) -> list[tuple[str, SelfService]]:
        return [
            (event.type.split(".")[2], event.data)
            for event in self.router.on("omnibus.events")
            if isinstance(event.data, SelfService)
        ]

    async def _settle(self) -> None:
        """Let the automation hear everything new, and the router carry out what it answers."""
        while self._read < len(self.router.written):
            outs = self.router.written[self._read :]
            self._read = len(self.router.written)
            self._table.take(out for out in outs if out.topic == "omnibus.conversations")
            for out in outs:
                if out.topic == "omnibus.automation.faq":
                    record = Record(out.topic, 0, 0, 0, out.key, out.value, out.headers)
                    answers = await self._worker.deliver([record])
                    self.router.step(
                        *(Record(one.topic, 0, 0, one.ts_ms or 0, one.key, one.value, one.headers) for one in answers)
                    )

    def _replies(self) -> list[str]:
        contents = [event.data.message.content for event in self.router.on("omnibus.outbound.webchat")]
        return [content.text for content in contents if isinstance(content, Text | Choices)]


@pytest.fixture
def make(plan: Callable[..., Plan], http: Http, tmp_path: Path) -> Callable[..., Talk]:
    """A talk with an automation that knows PAGE."""

    def talk(page: str = PAGE, **settings: Any) -> Talk:
        source = tmp_path / "faq.md"
        source.write_text(page)
        tools = AutomationTools(name="faq", hand_over_to="billing", http=http)
        full = FaqSettings(source=source, **settings)
        table = MemoryTable()
        faq = Faq(full, tools)
        worker = AutomationWorker(AUTOMATION, faq, tools, Topics(), table, full.timeout)
        return Talk(Rehearsal(plan(Rule(name="bot", to="automation:faq"))), worker, table, faq)

    return talk


async def test_by_meaning_it_answers_what_is_asked_in_other_words(make: Callable[..., Talk]) -> None:
    talk = make(find="meaning", threshold=0.4)
    await talk.faq.prepared()

    assert await talk.says("how long until delivery?") == ["Three to five days.", "Did this help?"]
    assert (await talk.says("I want to send my purchase back", "c2"))[0] == "Within 30 days, with the slip."
    [told] = [
        data for verb, data in talk.told() if verb == "viewed" and data.query == "I want to send my purchase back"
    ]
    assert told.score is not None
    await talk.faq.close()


async def test_it_answers_and_asks_whether_that_helped(make: Callable[..., Talk]) -> None:
    talk = make()

    assert await talk.says("how long until delivery?") == ["Three to five days.", "Did this help?"]
    assert [verb for verb, _ in talk.told()] == ["searched", "viewed"]
    viewed = talk.told()[1][1]
    assert viewed.query == "how long until delivery?"
    assert viewed.score is not None
    assert 0.45 <= viewed.score <= 1
    assert talk.router.conversation().controller.id == "faq"


@pytest.mark.parametrize("yes", ["yes", "Yes, thanks!", "sim", "ajudou sim"])
async def test_what_helped_is_resolved(make: Callable[..., Talk], yes: str) -> None:
    talk = make()
    await talk.says("how do I return something?")

    assert await talk.says(yes) == ["Glad to hear that!"]
    assert talk.router.conversation().status == "resolved"
    assert talk.told()[-1][0] == "helped"
    assert talk.told()[-1][1].helped is True


async def test_what_did_not_help_gets_a_person(make: Callable[..., Talk]) -> None:
    talk = make()
    await talk.says("how do I return something?")

    assert await talk.chooses("faq:no") == ["Sorry that this did not help. A colleague will get back to you."]
    assert talk.router.conversation().queue == "billing"
    assert [verb for verb, _ in talk.told()][-2:] == ["helped", "escalated"]
    assert talk.told()[-2][1].helped is False
    [assigned, *_] = talk.router.on("omnibus.queue.billing")
    assert "Ana: how do I return something?" in assigned.data.summary


async def test_what_it_does_not_know_it_admits(make: Callable[..., Talk]) -> None:
    talk = make()

    assert await talk.says("do you sell gift cards in Argentina?") == [
        "I don't know the answer to that. A colleague will get back to you."
    ]
    assert talk.router.conversation().queue == "billing"
    assert [verb for verb, _ in talk.told()] == ["searched", "escalated"]


async def test_another_question_instead_of_yes_or_no_is_answered(make: Callable[..., Talk]) -> None:
    talk = make()
    await talk.says("how do I return something?")

    assert (await talk.says("ok and when will my order arrive?"))[0] == "Three to five days."


async def test_it_answers_in_the_language_it_was_asked_in(make: Callable[..., Talk]) -> None:
    talk = make()

    assert await talk.says("quanto tempo demora a entrega", language="pt-BR") == [
        "De três a cinco dias.",
        "Isso ajudou?",
    ]


async def test_a_machine_gets_no_answer(make: Callable[..., Talk]) -> None:
    talk = make()
    await talk.says("how long until delivery?")

    assert await talk.says("I am out of office, delivery next week", auto_submitted="auto_reply") == []


async def test_it_need_not_ask(make: Callable[..., Talk]) -> None:
    talk = make(ask_if_it_helped=False, unknown={"en": "No idea."})

    assert await talk.says("how long until delivery?") == ["Three to five days."]
    assert await talk.says("and gift cards?") == ["No idea."]


def test_a_source_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"automations\.faq\.source: .*no such file"):
        check(FaqSettings(source=tmp_path / "nowhere.md"), "faq")
