"""How text messages are encoded: the GSM 7-bit alphabet, UCS-2, and what a data coding says.

3GPP TS 23.038, sections 4 and 6.2.1 (https://www.3gpp.org/dynareport/23038.htm); SMPP 3.4, section 5.2.19.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from omnibus.channel.send import split_text
from omnibus.errors import InvalidPayload

ESCAPE = 0x1B
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_CODES: Mapping[str, bytes] = {
    **{character: bytes([code]) for code, character in enumerate(_BASIC) if code != ESCAPE},
    **{character: bytes([ESCAPE, code]) for code, character in _EXTENSION.items()},
}

SEPTETS = 153
CHARACTERS = 67
"""What one part of a long message holds beside its header: 153 septets, or 67 UTF-16 units (TS 23.040, 9.2.3.24.1)."""

Alphabet = Literal["gsm", "unicode"]


def alphabet_of(text: str) -> Alphabet:
    """The alphabet a text needs: one character outside the GSM alphabet makes all of it UCS-2."""
    return "gsm" if all(character in _CODES for character in text) else "unicode"


def septets(text: str) -> int:
    """How much room a text takes in the GSM alphabet; ``€[]{}`` and others take twice."""
    return sum(len(_CODES[character]) for character in text)


def encoded(text: str) -> bytes:
    """A text in its alphabet: a septet in each byte, or UTF-16 without a byte order mark."""
    if alphabet_of(text) == "gsm":
        return b"".join(_CODES[character] for character in text)
    return text.encode("utf-16-be", "replace")


def from_gsm(data: bytes) -> str:
    """Septets, one in each byte, as text. An escape that leads nowhere is a space (TS 23.038, 6.2.1.1)."""
    found, escaped = [], False
    for code in data:
        if escaped:
            found.append(_EXTENSION.get(code) or _BASIC[code & 0x7F])
            escaped = False
        elif code == ESCAPE:
            escaped = True
        else:
            found.append(_BASIC[code & 0x7F])
    return "".join(found) + (" " if escaped else "")


def decoded(data: bytes, coding: int) -> str:
    """Bytes of a message by their data coding: 0 GSM, 1 ASCII, 3 Latin-1, 8 UCS-2, else UTF-8 or Latin-1."""
    match coding:
        case 0:
            return from_gsm(data)
        case 8:
            return data.decode("utf-16-be", "replace")
        case 3:
            return data.decode("latin-1")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def from_hex(text: str, path: str) -> bytes:
    """Raises InvalidPayload."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InvalidPayload(path, "expected hexadecimal digits") from None


def pieces_of(text: str, max_parts: int) -> list[str]:
    """A text in messages that take at most so many parts each, cut at natural places."""
    pieces: list[str] = []
    for piece in split_text(text, _limit(text, max_parts)):
        # Characters that take twice are rare: a piece full of them is cut once more, in halves.
        pieces.extend([piece] if _fits(piece, max_parts) else split_text(piece, _limit(piece, max_parts) // 2))
    return [piece for piece in pieces if piece.strip()]


def _limit(text: str, max_parts: int) -> int:
    return max_parts * (SEPTETS if alphabet_of(text) == "gsm" else CHARACTERS)


def _fits(text: str, max_parts: int) -> bool:
    if alphabet_of(text) == "gsm":
        return septets(text) <= max_parts * SEPTETS
    return len(text.encode("utf-16-be", "replace")) // 2 <= max_parts * CHARACTERS
