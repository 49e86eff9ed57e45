"""Which part of a long message this is: from a user data header, or from fields that say the same in words.

A mapping sees one part at a time and stays pure: it says `Fragment(key, number, total)`, and the normalizer, which
owns the thread, puts the parts together.
"""

from __future__ import annotations

from omnibus.channel.events import Fragment

CONCATENATED_8 = 0x00
CONCATENATED_16 = 0x08
"""Information elements of TS 23.040, sections 9.2.3.24.1 and 9.2.3.24.8 (https://www.3gpp.org/dynareport/23040.htm)."""


def fragment_of(reference: str, number: int, total: int) -> Fragment | None:
    """The part; None for a message that is whole, or numbers that make no sense."""
    if not 1 <= number <= total <= 255 or total == 1:
        return None
    return Fragment(key=f"{reference[:40]}/{total}", number=number, total=total)


def fragment_from_header(header: bytes) -> Fragment | None:
    """The part a user data header names; None when it names none, or is damaged."""
    elements = header[1 : header[0] + 1] if header else b""
    while len(elements) >= 2:
        kind, length = elements[0], elements[1]
        value, elements = elements[2 : 2 + length], elements[2 + length :]
        if kind == CONCATENATED_8 and len(value) == 3:
            return fragment_of(str(value[0]), value[2], value[1])
        if kind == CONCATENATED_16 and len(value) == 4:
            return fragment_of(str(int.from_bytes(value[:2], "big")), value[3], value[2])
    return None


def number_of(text: str | None) -> int:
    """A small whole number; 0 for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else 0
