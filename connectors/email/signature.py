"""Where a signature begins: at a mark, a telephone's words, or a closing phrase above a name.

A name alone below a text is part of it more often than not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from connectors.email.languages import CLOSINGS
from connectors.email.quotation_words import MOBILE_SIGNATURES

MAX_LINES = 30
_MARK = re.compile(r"^\s{0,3}(?:-{2,3}|\u2014|\u2013|__|\*\*)\s{0,5}$")
_FOOTER = re.compile(r"^_{20,}\s*$")
_MOBILE = re.compile(rf"^[\s\W_]{{0,4}}(?:{'|'.join(MOBILE_SIGNATURES)})", re.IGNORECASE)
_DASHED_NAME = re.compile(r"^-{1,2}\s?[^\W\d_][\w.'-]{1,30}(?: [^\W\d_][\w.'-]{0,30}){0,2}\s*$")
_MAX_MOBILE = 80
_CLOSING = re.compile(rf"^\s{{0,3}}(?:{'|'.join(CLOSINGS)})\s?[,.!。]{{0,3}}$", re.IGNORECASE)
_NAME = re.compile(r"^\s{0,3}(?:[^\W\d_][\w.'’-]{0,25}[ \t]?){1,4}$")
_MAX_BELOW = 6
_MAX_LINE = 60


def signature_start(lines: Sequence[str]) -> int:
    """The index of the first line of the signature; `len(lines)` when there is none."""
    start = len(lines)
    first = max(1, len(lines) - MAX_LINES)
    for index in range(len(lines) - 1, first - 1, -1):
        if _is_mark(lines[index]) or _is_last_words(lines, index, start):
            start = index
    start = min(start, _closing(lines, start))
    # A text that is nothing but a signature is a text.
    return start if any(line.strip() for line in lines[:start]) else len(lines)


def _closing(lines: Sequence[str], end: int) -> int:
    """Where a closing phrase stands above a name and a few short lines; `end` when there is none."""
    below = 0
    for index in range(end - 1, max(0, end - 2 * _MAX_BELOW), -1):
        line = lines[index].strip()
        if not line:
            continue
        if below and _CLOSING.match(line):
            first = next(each for each in lines[index + 1 :] if each.strip())
            return index if _NAME.match(first) else end
        below += 1
        if below > _MAX_BELOW or len(line) > _MAX_LINE or line.endswith(("?", ":")):
            return end
    return end


def _is_mark(line: str) -> bool:
    return _MARK.match(line) is not None or _FOOTER.match(line) is not None


def _is_last_words(lines: Sequence[str], index: int, start: int) -> bool:
    """A telephone's words, or `-Ana Souza`, with nothing behind them but the signature found so far."""
    line = lines[index]
    if not (_is_mobile(line) or _DASHED_NAME.match(line)):
        return False
    return not any(rest.strip() and not _is_mobile(rest) for rest in lines[index + 1 : start])


def _is_mobile(line: str) -> bool:
    text = line.strip()
    if not text or len(text) > _MAX_MOBILE or "," in text or ". " in text:
        return False
    return _MOBILE.match(text) is not None
