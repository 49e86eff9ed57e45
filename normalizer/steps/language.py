"""Language: what a text is written in, when that can be told reliably."""

from __future__ import annotations

import importlib
import unicodedata
from functools import cache
from typing import Protocol

MIN_LETTERS = 8
MAX_CHARS = 1_000


class _Details(Protocol):
    language: str
    reliable: bool


class _Detector(Protocol):
    def detect_details(self, text: str) -> _Details: ...


@cache
def _detector() -> _Detector | None:
    """The optional detector; platforms without its wheel do without (see docs/adr/0002-dependencies.md)."""
    try:
        eldc = importlib.import_module("eldc")
    except ImportError:
        return None
    eldc.init()
    return eldc


def detect_language(text: str) -> str | None:
    """BCP 47 tag of the text's language; None for short, mixed or unclear texts, which keep the conversation's."""
    detector = _detector()
    sample = text[:MAX_CHARS].replace("\0", " ").encode("utf-8", "ignore").decode()
    if detector is None or sum(map(str.isalpha, sample)) < MIN_LETTERS:
        return None
    details = detector.detect_details(unicodedata.normalize("NFC", sample))
    return details.language if details.reliable else None
