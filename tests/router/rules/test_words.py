"""Who asks for a person, in three languages and in lists of one's own."""

from __future__ import annotations

import pytest

from omnibus.errors import Misconfigured
from router.rules.words import human_words, normalised, shipped_words


@pytest.mark.parametrize(
    "text",
    [
        "Quero falar com um atendente, por favor",
        "queria conversar com uma pessoa de verdade",
        "Me transfere para um humano!!",
        "ATENDENTE",
        "não quero falar com robô",
        "preciso falar c alguém sobre minha conta",
        "Atendimento humano",
        "I want to talk to a real person",
        "can I speak with someone?",
        "connect me to an agent",
        "human please",
        "is there a human here?",
        "Agent",
        "I need a live agent",
        "Quiero hablar con una persona",
        "páseme con un asesor",
        "¿puedo hablar con alguien?",
        "agente humano",
        "no quiero hablar con un bot",
    ],
)
def test_asks_for_a_person(text: str) -> None:
    assert shipped_words().asks_for_human(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "oi, bom dia",
        "o atendente de ontem foi ótimo",
        "my agent number is 7",
        "human resources policy",
        "quiero pagar mi factura",
        "where is my parcel?",
        "falta uma pessoa na reserva",
        "the robot vacuum I bought is broken",
        "\0\0",
        "a" * 100_000,
    ],
)
def test_does_not_ask_for_a_person(text: str) -> None:
    assert not shipped_words().asks_for_human(text)


def test_an_installation_adds_its_own_words() -> None:
    words = human_words({"de": ["mit einem (menschen|mitarbeiter) sprechen"], "en": ["wake up a wizard"]})

    assert words.asks_for_human("Ich möchte mit einem Menschen sprechen")
    assert words.asks_for_human("Please wake up a wizard")
    assert words.asks_for_human("quero falar com um atendente")


def test_an_unusable_entry_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"words\.de: '\(bad'"):
        human_words({"de": ["(bad"]})


def test_accents_case_and_punctuation_do_not_matter() -> None:
    assert normalised("  Não,\n QUERO... (robô)! ") == "nao quero robo"
    assert normalised("日本 語") == "日本 語"
