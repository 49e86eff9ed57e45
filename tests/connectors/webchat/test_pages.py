"""The widget's files: the same words in every language, and nothing that a strict policy forbids."""

from __future__ import annotations

import gzip
import json

import pytest

from connectors.webchat.pages import STATIC, widget_script


def test_every_language_has_every_word() -> None:
    words = json.loads((STATIC / "widget" / "words.json").read_text("utf-8"))
    assert set(words) == {"en", "pt", "es"}
    for language in words.values():
        assert set(language) == set(words["en"])
        assert all(language.values())


@pytest.mark.parametrize(
    "forbidden", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
)
def test_data_never_becomes_markup_or_code(forbidden: str) -> None:
    assert forbidden not in widget_script().decode()


def test_the_widget_is_small() -> None:
    assert len(gzip.compress(widget_script())) < 12_000
