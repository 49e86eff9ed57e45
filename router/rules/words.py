"""Does somebody ask for a person? Word lists by language, matched all at once.

The text is compared in lower case without accents, because RE2's word boundaries know ASCII letters only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import re2
import yaml

from omnibus.errors import Misconfigured

MAX_CHARS = 4_000
_BLANKS = re.compile(r"[^a-z0-9\u0250-\U0010ffff]+")


def normalised(text: str) -> str:
    """Lower case, no accents, one blank between words, no punctuation."""
    lower = text.lower()
    if not lower.isascii():
        parts = unicodedata.normalize("NFKD", lower)
        lower = "".join(letter for letter in parts if not unicodedata.combining(letter))
    return _BLANKS.sub(" ", lower).strip()


class HumanWords:
    """The compiled word lists. Entries are RE2 expressions over normalised text, matched at word boundaries.

    An entry that starts with ``=`` must be the whole message. Raises Misconfigured for an entry that is no expression.
    """

    def __init__(self, phrases: Mapping[str, Sequence[str]]) -> None:
        options = re2.Options()
        options.log_errors = False
        options.max_mem = 64 << 20
        self._set = re2.Set.SearchSet(options)
        self.phrases = {language: tuple(entries) for language, entries in phrases.items()}
        for language, entries in self.phrases.items():
            for entry in entries:
                _add(self._set, entry, language)
        self._set.Compile()

    def asks_for_human(self, text: str) -> bool:
        """Whether any phrase of any language is in the text."""
        return bool(text) and self._set.Match(f" {normalised(text[:MAX_CHARS])} ") is not None


def _add(phrases: re2.Set, entry: str, language: str) -> None:
    pattern = f"^ (?:{entry[1:]}) $" if entry.startswith("=") else f" (?:{entry}) "
    try:
        phrases.Add(pattern)
    except re2.error as error:
        raise Misconfigured(f"words.{language}", f"{entry!r} is no regular expression: {error}") from error


@cache
def shipped_phrases() -> Mapping[str, tuple[str, ...]]:
    """The lists that come with the router: Portuguese, English, Spanish."""
    text = files("router.rules").joinpath("words.yaml").read_text("utf-8")
    lists: dict[str, list[str]] = yaml.safe_load(text)
    return {language: tuple(entries) for language, entries in lists.items()}


@cache
def shipped_words() -> HumanWords:
    """The shipped lists, compiled once for the process."""
    return HumanWords(shipped_phrases())


def human_words(extra: Mapping[str, Sequence[str]] | None = None) -> HumanWords:
    """The shipped lists with an installation's own entries added. Raises Misconfigured for an unusable entry."""
    if not extra:
        return shipped_words()
    shipped = shipped_phrases()
    languages = sorted({*shipped, *extra})
    return HumanWords({name: (*shipped.get(name, ()), *extra.get(name, ())) for name in languages})
