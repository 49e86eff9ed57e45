"""Encoded words of header fields (RFC 2047), also those split inside a character or written against the rules."""

from __future__ import annotations

import re

from connectors._shared.mime import charset
from connectors._shared.mime.transfer import decode_base64, decode_transfer

_START = re.compile(r"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,40})?\?([bBqQ])\?")


def decode_words(text: str) -> str:
    """`text` with its encoded words decoded; blanks between two words vanish, as RFC 2047 section 6.2 says."""
    if "=?" not in text:
        return text
    out: list[str] = []
    run = _Run()
    at = 0
    while (start := _START.search(text, at)) is not None:
        end = _end_of_word(text, start.end())
        if end < 0:
            break
        between = text[at : start.start()]
        if not run.empty and not between.strip():
            between = ""
        if between:
            out.append(run.take())
            out.append(between)
        run.add(start.group(1), start.group(2), text[start.end() : end], out)
        at = end + 2
    out.append(run.take())
    out.append(text[at:])
    return "".join(out)


def _end_of_word(text: str, at: int) -> int:
    """Where the closing `?=` is. A question mark before it belongs to the word (`?Q?Really??=`)."""
    end = text.find("?=", at)
    if end < 0:
        return -1
    # `=?x?Q??= =41?=`: an empty word only if no word character follows at once.
    if text[end + 2 : end + 3].isalnum() and (later := text.find("?=", end + 2)) >= 0 and " " not in text[end:later]:
        return later
    return end


class _Run:
    """Encoded words in a row with one charset: their bytes are joined before decoding."""

    def __init__(self) -> None:
        self._charset = ""
        self._data: list[bytes] = []

    @property
    def empty(self) -> bool:
        return not self._data

    def add(self, name: str, encoding: str, payload: str, out: list[str]) -> None:
        if self._data and name.lower() != self._charset:
            out.append(self.take())
        self._charset = name.lower()
        self._data.append(_payload(encoding.lower(), payload, name))

    def take(self) -> str:
        text = charset.decode(b"".join(self._data), self._charset) if self._data else ""
        self._data.clear()
        return text


def _payload(encoding: str, payload: str, name: str) -> bytes:
    data = payload.encode("ascii") if payload.isascii() else _in_charset(payload, name)
    if encoding == "b":
        return decode_base64(data)
    return decode_transfer(data.replace(b"_", b" "), "q")


def _in_charset(payload: str, name: str) -> bytes:
    """Raw 8-bit characters inside a word were decoded with the header: back to the bytes they were."""
    try:
        return payload.encode(charset.codec_of(name) or "utf-8")
    except UnicodeError:
        return payload.encode("utf-8", "replace")
