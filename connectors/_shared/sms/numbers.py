"""Phone numbers as providers write them, and the thread between one of ours and one of theirs.

The native thread of a text message is the pair of numbers: replies go out from the number that was written to, and the
same person writing to another of our numbers is another conversation.
"""

from __future__ import annotations

import re
from functools import lru_cache

from omnibus.channel.events import Party
from omnibus.errors import InvalidPayload

MAX_ADDRESS_CHARS = 200
SEPARATOR = "/"

_DIGITS = re.compile(r"\+?[0-9 ().-]{7,30}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # https://www.itu.int/rec/T-REC-E.164: at most 15 digits


@lru_cache(maxsize=4_096)
def normalized(address: str) -> str:
    """A number as E.164 (``+12025550147``) where it is an international one; anything else as it is, bounded.

    Providers leave out the plus, or write ``00``. Short codes and names of senders (``ACME``) are no such numbers.
    """
    text = address.strip()[:MAX_ADDRESS_CHARS]
    if not _DIGITS.fullmatch(text):
        return text
    digits = "".join(character for character in text if character in "0123456789")
    if text.startswith("00"):
        digits = digits[2:]
    number = f"+{digits}"
    return number if _E164.fullmatch(number) else text


def is_number(address: str) -> bool:
    """Whether a normalized address is an international phone number."""
    return _E164.fullmatch(address) is not None


def party_of(address: str, name: str | None = None, *, verified: bool = True) -> Party:
    """Who writes from that address; the network vouches for numbers, though not for names of senders."""
    number = normalized(address)
    if not number:
        raise InvalidPayload("from", "expected a number, got nothing")
    if is_number(number):
        return Party(scheme="e164", value=number, display_name=name, verified="channel" if verified else "none")
    return Party(scheme="sms_sender", value=number, display_name=name)


def thread_of(ours: str, theirs: str) -> str:
    """The thread of two addresses."""
    return f"{normalized(ours)}{SEPARATOR}{normalized(theirs)}"


def ends_of(thread: str) -> tuple[str, str]:
    """Our address and theirs. Raises InvalidPayload for a thread that is no pair."""
    ours, separator, theirs = thread.partition(SEPARATOR)
    if not separator or not theirs:
        raise InvalidPayload("conversation.thread_key", "expected two numbers")
    return ours, theirs
