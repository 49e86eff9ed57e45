"""The header block: found, unfolded and decoded, whatever its author thought a header is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from connectors._shared.mime import charset
from connectors._shared.mime.words import decode_words

MAX_BLOCK = 512 * 1024
MAX_FIELDS = 2_000
MAX_VALUE = 64 * 1024
_LOOK_AHEAD = 8

_FIELD = re.compile(rb"([!-9;-~\x80-\xff]{1,100})[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)")
# A name with blanks in it, and a colon: no header by any RFC, but not the end of the block either.
_BROKEN_FIELD = re.compile(rb"[!-9;-~ \t\x80-\xff]{1,100}:[^\n]*(?:\n[ \t][^\n]*)*")
_LINE = re.compile(rb"[^\n]*")
_BLANK = re.compile(rb"[ \t]*\r?(?:\n|$)")
_FOLD = re.compile(r"\r?\n[ \t]*|\r")


class Headers:
    """The fields of one part in their order; names are lower case, values raw until asked for."""

    __slots__ = ("_decoded", "fields", "hint")

    def __init__(self, fields: list[tuple[str, bytes]], hint: str | None = None) -> None:
        self.fields = fields
        self.hint = hint
        self._decoded: dict[str, str | None] = {}

    def __contains__(self, name: str) -> bool:
        return any(field == name for field, _ in self.fields)

    def get(self, name: str) -> str | None:
        """The first field of that name, unfolded, encoded words decoded."""
        if name not in self._decoded:
            found = self.raw(name)
            self._decoded[name] = None if found is None else decode_words(found)
        return self._decoded[name]

    def all(self, name: str) -> list[str]:
        """Every field of that name, decoded."""
        return [decode_words(unfolded(value, self.hint)) for field, value in self.fields if field == name]

    def raw(self, name: str) -> str | None:
        """The first field of that name, unfolded, its encoded words as they are (for addresses and parameters)."""
        for field, value in self.fields:
            if field == name:
                return unfolded(value, self.hint)
        return None

    def every_raw(self, name: str) -> Iterator[str]:
        """Every field of that name, unfolded, its encoded words as they are."""
        return (unfolded(value, self.hint) for field, value in self.fields if field == name)


def unfolded(value: bytes, hint: str | None = None) -> str:
    """A field's value on one line. Raw 8-bit text is read as UTF-8, else as `hint`, else by guess."""
    text = charset.decode(value[:MAX_VALUE], None, hint)
    if "\n" in text or "\r" in text:
        text = _FOLD.sub(_single_blank, text)
    return text.strip(" \t\r\n")


def _single_blank(fold: re.Match[str]) -> str:
    return " " if "\n" in fold.group() else ""


def split_block(data: bytes, start: int = 0, end: int | None = None) -> tuple[Headers, int]:
    """The header fields between `start` and `end`, and where the body begins.

    A bad line is skipped while headers follow it.
    """
    fields: list[tuple[str, bytes]] = []
    end = len(data) if end is None else end
    at = _after_leading_blanks(data, start, end)
    stop = min(end, start + MAX_BLOCK)
    while at < stop and len(fields) < MAX_FIELDS:
        if (field := _FIELD.match(data, at, end)) is not None and not _is_mbox_line(data, at):
            fields.append((field.group(1).decode("latin-1").lower(), field.group(2)))
            at = field.end() + 1
        elif (blank := _BLANK.match(data, at, end)) is not None:
            return Headers(fields), blank.end()
        elif (after := _after_bad_line(data, at, end)) is not None:
            at = after
        else:
            return Headers(fields), at
    return Headers(fields), min(at, end)


def _after_leading_blanks(data: bytes, start: int, end: int) -> int:
    """Some gateways put empty lines before the headers; without a header behind them they are the empty block's end."""
    at = start
    for _ in range(_LOOK_AHEAD):
        blank = _BLANK.match(data, at, end)
        if blank is None or blank.end() == at:
            break
        at = blank.end()
    return start if _FIELD.match(data, at, end) is None else at


def _is_mbox_line(data: bytes, at: int) -> bool:
    return data[at : at + 5] == b"From " or data[at : at + 6] == b">From "


def _after_bad_line(data: bytes, at: int, end: int) -> int | None:
    """Where to go on after a line that is no header; None when the body begins with it."""
    if data.startswith(b"--", at, end):
        return None
    broken = _BROKEN_FIELD.match(data, at, end)
    line = broken or _LINE.match(data, at, end)
    after = (line.end() if line else at) + 1
    return after if broken or _headers_follow(data, after, end) else None


def _headers_follow(data: bytes, at: int, end: int) -> bool:
    for _ in range(_LOOK_AHEAD):
        if at >= end or _BLANK.match(data, at, end) is not None:
            return False
        if _FIELD.match(data, at, end) is not None:
            return True
        line = _LINE.match(data, at, end)
        at = (line.end() if line else at) + 1
    return False
