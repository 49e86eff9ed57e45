"""How long X finds a text, and texts cut to that. https://docs.x.com/fundamentals/counting-characters"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from omnibus.channel.send import split_text

MAX_POST = 280
MAX_DM = 10_000
URL_LENGTH = 23
"""Every address counts as long as the short one that X puts in its place."""

_LIGHT = ((0, 4_351), (8_192, 8_205), (8_208, 8_223), (8_242, 8_247))
"""Characters that count once; all others count twice. https://github.com/twitter/twitter-text/blob/master/config/v3.json"""
_URL = re.compile(r"https?://[^\s]+|(?<![\w@.])(?:[\w-]{1,63}\.)+[a-z]{2,24}(?:/[^\s]*)?", re.IGNORECASE)


def length(text: str) -> int:
    """The weight of a post. An emoji of several characters counts twice for each here, so never less than X counts."""
    normal = unicodedata.normalize("NFC", text)
    addresses = len(_URL.findall(normal))
    words = _URL.sub("", normal)
    return addresses * URL_LENGTH + sum(1 if _is_light(ord(sign)) else 2 for sign in words)


def pieces_of(text: str, limit: int) -> Sequence[str]:
    """The text in posts of at most `limit`, cut at natural places."""
    pieces: list[str] = []
    rest = text.strip()
    while rest:
        piece = _first_piece(rest, limit)
        pieces.append(piece)
        rest = rest[len(piece) :].lstrip()
    return pieces


def _first_piece(text: str, limit: int) -> str:
    """Long addresses count less than they have characters: so it starts with more, and takes away while it is heavy."""
    size = min(len(text), limit * 2)
    while True:
        piece = split_text(text[: size + 1], size)[0] if size < len(text) else text
        heavy = length(piece)
        if heavy <= limit or size <= 1:
            return piece
        size = max(1, min(len(piece) - 1, len(piece) * limit // heavy))


def _is_light(code: int) -> bool:
    return any(first <= code <= last for first, last in _LIGHT)
