"""Questions found by what they mean, with the model itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from router.retrieval.entries import Entry
from router.retrieval.index import Index
from router.retrieval.meaning import Meaning

ENTRIES = [
    Entry(id="return", questions=("Como faço para devolver um produto?",), answer="...", language="pt"),
    Entry(id="parcel", questions=("Where is my parcel?", "When will my order arrive?"), answer="...", language="en"),
    Entry(id="pay", questions=("Quais são as formas de pagamento?",), answer="...", language="pt"),
    Entry(id="cancel", questions=("How do I cancel my subscription?",), answer="...", language="en"),
]


@pytest.fixture
async def meaning() -> AsyncIterator[Meaning]:
    made = Meaning(ENTRIES)
    await made.wait()
    yield made
    await made.close()


async def test_other_words_and_other_languages_find_the_same(meaning: Meaning) -> None:
    for asked, wanted in (
        ("quero mandar de volta o que comprei", "return"),
        ("¿cuándo llega mi paquete?", "parcel"),
        ("stop my plan please", "cancel"),
    ):
        [best, *_] = await meaning.best(asked)
        assert best.entry.id == wanted
        by_words = Index(ENTRIES).best(asked)
        assert not by_words or by_words[0].score < 0.45


async def test_the_same_question_is_sure_and_an_unrelated_one_is_not(meaning: Meaning) -> None:
    assert (await meaning.best("Where is my parcel?"))[0].score > 0.95
    assert (await meaning.best("what's the weather tomorrow"))[0].score < 0.4
    assert await meaning.best("  ") == []


async def test_answers_are_in_the_language_of_the_question_where_there_are_any(meaning: Meaning) -> None:
    assert {hit.entry.language for hit in await meaning.best("onde está meu pacote?", "pt-BR")} == {"pt"}
    assert {hit.entry.language for hit in await meaning.best("wo ist mein Paket?", "de")} == {"en", "pt"}


async def test_nothing_is_found_by_meaning_before_the_questions_are_read() -> None:
    many = Meaning(ENTRIES * 500)
    assert await many.best("Where is my parcel?") == []
    await many.close()
