"""Which answer fits, and how sure that is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.retrieval.entries import Entry, load_entries
from router.retrieval.index import Index

EXAMPLE = Path(__file__).parents[3] / "docs/examples/routing/faq.md"
INDEX = Index(load_entries(EXAMPLE))


@pytest.mark.parametrize(
    ("question", "language", "found"),
    [
        ("how long until my delivery arrives?", "en", "How long does a delivery take?"),
        ("WHEN ARE YOU OPEN ON SATURDAY", "en", "What are your opening hours?"),
        ("opening hours", "en", "What are your opening hours?"),
        ("how do I change the delivery address please", "en", "Can I change my delivery address?"),
        ("quando chega meu pedido?", "pt-BR", "Quanto tempo demora a entrega?"),
        ("quero devolver o produto", "pt", "Como faço uma devolução?"),
        ("qual horario vcs atendem", "pt", "Qual é o horário de atendimento?"),
    ],
)
def test_the_answer_that_fits_is_found_surely(question: str, language: str, found: str) -> None:
    best = INDEX.best(question, language)[0]

    assert best.entry.questions[0] == found
    assert best.score >= 0.45


@pytest.mark.parametrize(
    "question",
    [
        "what is the capital of France?",
        "hello",
        "can you help me with my invoice",
        "cancel my order",
        "vocês têm loja física em Recife?",
        "I am very unhappy with the quality of the shoes",
        "",
        "????",
        "👍",
    ],
)
def test_of_what_it_does_not_know_it_is_not_sure(question: str) -> None:
    assert all(hit.score < 0.45 for hit in INDEX.best(question))


def test_the_same_question_is_certain() -> None:
    assert INDEX.best("Can I change my delivery address?")[0].score == 1.0


def test_another_languages_entries_are_left_out_while_there_are_own_ones() -> None:
    assert {hit.entry.language for hit in INDEX.best("entrega delivery", "pt")} == {"pt"}
    assert INDEX.best("delivery take how long", "de")[0].entry.language == "en"


def test_accents_and_inflections_do_not_matter() -> None:
    one = Index([Entry(id="1", questions=("Formas de pagamento aceitas",), answer="x")])

    assert one.best("FORMA DE PAGAMENTOS")[0].score > 0.6
    assert one.best("formas de pagaménto aceitas")[0].score == 1.0


def test_long_and_large_input_is_bounded() -> None:
    entries = [
        Entry(id=str(n), questions=(f"question number {n} about topic{n % 50}",), answer="x") for n in range(500)
    ]
    big = Index(entries)

    assert big.best("topic7 " * 10_000)
    assert len(big.best("question", count=3)) <= 3


@given(st.text(max_size=200))
def test_scores_are_shares(question: str) -> None:
    assert all(0 < hit.score <= 1 for hit in INDEX.best(question))
