"""Rich text as Outlook sends it in `winmail.dat`: unpacked (LZFu) and read as plain text.

Formats: [MS-OXRTFCP] (https://learn.microsoft.com/en-us/openspecs/exchange_server_protocols/ms-oxrtfcp/) and RTF as in
[MS-OXRTFEX] (https://learn.microsoft.com/en-us/openspecs/exchange_server_protocols/ms-oxrtfex/). Both are linear in the
input, bounded in what they yield, and take what is damaged as far as it goes.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from itertools import islice

from connectors._shared.mime.charset import decode

MAX_RTF = 300_000
MAX_TOKENS = 40_000
"""Bytes, and words and braces, of RTF that are looked at: what a person writes has a tenth of them."""
MAX_CHARACTERS = 500_000
_MAX_GROUPS = 500

_HEADER = struct.Struct("<IIII")
_COMPRESSED, _UNCOMPRESSED = 0x75465A4C, 0x414C454D
# [MS-OXRTFCP] section 2.1.2.1: what the dictionary holds before anything is read.
_BEGINNING = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n"
    b"\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_DICTIONARY = 4_096

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z0-9])|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\",
    re.DOTALL,
)
# Groups that hold no words of the document.
_SILENT = frozenset(
    (
        *(
            b"fonttbl",
            b"colortbl",
            b"stylesheet",
            b"info",
            b"pict",
            b"object",
            b"header",
            b"headerl",
            b"headerr",
            b"headerf",
        ),
        *(b"footer", b"footerl", b"footerr", b"footerf", b"listtable", b"listoverridetable", b"revtbl", b"rsidtbl"),
        *(b"generator", b"themedata", b"datastore", b"xmlnstbl", b"fldinst", b"bkmkstart", b"bkmkend", b"annotation"),
    )
)
_WORDS = {
    **dict.fromkeys((b"par", b"line", b"sect", b"page", b"row"), "\n"),
    **dict.fromkeys((b"tab", b"cell"), "\t"),
    b"emdash": "—",
    b"endash": "–",
    b"bullet": "•",
    b"lquote": "‘",
    b"rquote": "’",
    b"ldblquote": "“",
    b"rdblquote": "”",
    b"emspace": " ",
    b"enspace": " ",
}
_SYMBOLS = {b"~": "\u00a0", b"_": "-", b"{": "{", b"}": "}", b"\\": "\\", b"\n": "\n", b"\r": "\n"}


def decompressed(data: bytes) -> bytes:
    """The RTF behind PidTagRtfCompressed; what is damaged ends it."""
    if len(data) < _HEADER.size:
        return b""
    _, size, kind, _ = _HEADER.unpack_from(data)
    size = min(size, MAX_RTF)
    if kind == _UNCOMPRESSED:
        return data[_HEADER.size : _HEADER.size + size]
    return _unpacked(data[_HEADER.size :], size) if kind == _COMPRESSED else b""


def _unpacked(data: bytes, size: int) -> bytes:
    """[MS-OXRTFCP] section 2.2.3: eight bits say what follows, a byte or a place in the latest 4,096 bytes."""
    out, at = bytearray(_BEGINNING), 0
    while at < len(data) and len(out) < len(_BEGINNING) + size:
        control = data[at]
        at += 1
        for bit in range(8):
            is_place = control >> bit & 1
            if at + is_place >= len(data):
                break
            if is_place:
                place = data[at] << 8 | data[at + 1]
                back = (len(out) - (place >> 4)) % _DICTIONARY
                if not back:
                    return _read_out(out, size)  # the end, said
                out += _copied(out, back, (place & 15) + 2)
            else:
                out.append(data[at])
            at += 1 + is_place
    return _read_out(out, size)


def _copied(out: bytearray, back: int, count: int) -> bytes:
    """So many bytes from so far back; beyond the end they repeat, before the beginning they are zero."""
    piece = bytes(out[-back:]).rjust(back, b"\0")[:count]
    return (piece * (count // len(piece) + 1))[:count]


def _read_out(out: bytearray, size: int) -> bytes:
    return bytes(out[len(_BEGINNING) : len(_BEGINNING) + size])


@dataclass
class _Group:
    """What holds until the closing brace: whether its words are shown, and how many characters stand in for a \\u."""

    is_silent: bool = False
    fallback: int = 1


def rtf_to_text(data: bytes) -> str:
    """The words of an RTF document, a line for each paragraph."""
    return _Reader().read(data[:MAX_RTF])


class _Reader:
    def __init__(self) -> None:
        self._groups = [_Group()]
        self._out: list[str] = []
        self._bytes = bytearray()
        self._charset = "windows-1252"
        self._skip = 0
        self._size = 0

    def read(self, data: bytes) -> str:
        for found in islice(_TOKEN.finditer(data), MAX_TOKENS):
            word, number, code, symbol, brace, text = found.groups()
            if word is not None:
                self._word(word.lower(), int(number) if number else None)
            elif brace is not None:
                self._brace(brace)
            elif code is not None:
                self._raw(bytes([int(code, 16)]))
            elif text is not None:
                self._raw(text)
            elif symbol is not None:
                self._symbol(symbol)
            if self._size > MAX_CHARACTERS:
                break
        self._flush()
        text = "".join(self._out)[:MAX_CHARACTERS].replace("\0", "")
        # Characters beyond U+FFFF are written as two halves.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").strip("\n")

    def _word(self, word: bytes, number: int | None) -> None:
        group = self._groups[-1]
        if word in _SILENT:
            group.is_silent = True
        elif word == b"ansicpg" and number is not None:
            self._charset = "utf-8" if number == 65001 else f"cp{abs(number)}"
        elif word == b"uc" and number is not None:
            group.fallback = max(0, min(number, 8))
        elif word == b"u" and number is not None:
            self._show(chr(number % 0x10000))
            self._skip = group.fallback
        elif word in _WORDS:
            self._show(_WORDS[word])

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._groups[-1].is_silent = True  # a group that only some readers know
        elif symbol in _SYMBOLS:
            self._show(_SYMBOLS[symbol])

    def _brace(self, brace: bytes) -> None:
        self._skip = 0
        if brace == b"{" and len(self._groups) < _MAX_GROUPS:
            group = self._groups[-1]
            self._groups.append(_Group(group.is_silent, group.fallback))
        elif brace == b"}" and len(self._groups) > 1:
            self._groups.pop()

    def _raw(self, text: bytes) -> None:
        """Bytes in the document's charset; those that stand in for a \\u are left out."""
        text, self._skip = text[self._skip :], max(0, self._skip - len(text))
        if not self._groups[-1].is_silent:
            self._bytes += text
            self._size += len(text)

    def _show(self, text: str) -> None:
        if not self._groups[-1].is_silent:
            self._flush()
            self._out.append(text)
            self._size += 1

    def _flush(self) -> None:
        if self._bytes:
            plain = self._bytes.isascii()
            self._out.append(self._bytes.decode("ascii") if plain else decode(bytes(self._bytes), self._charset))
            self._bytes.clear()
