"""Who is at the two ends, and which thread that is.

Text and picture messages share a thread of the two numbers; other channels that Vonage carries have their name in
front (``whatsapp:+12025550123/whatsapp:+12025550147``), because a reply needs it.
"""

from __future__ import annotations

import msgspec

from connectors._shared.sms.numbers import MAX_ADDRESS_CHARS, SEPARATOR, ends_of, normalized, party_of
from omnibus.channel.events import Party
from omnibus.errors import InvalidPayload

PHONES = frozenset({"sms", "mms", "whatsapp", "viber_service", "rcs"})
PLAIN = frozenset({"sms", "mms"})
MAX_THREAD_CHARS = 2 * MAX_ADDRESS_CHARS + 1


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """A channel, our address on it, and theirs, as Vonage writes them."""

    channel: str
    ours: str
    theirs: str


def thread_on(channel: str, ours: str | None, theirs: str | None) -> str:
    """The thread of two addresses. Raises InvalidPayload when one is missing."""
    if not ours or not theirs or not ours.strip() or not theirs.strip():
        raise InvalidPayload("from", "expected two addresses")
    return f"{_address(channel, ours)}{SEPARATOR}{_address(channel, theirs)}"


def _address(channel: str, address: str) -> str:
    known = normalized(address) if channel in PHONES else address.strip()[:MAX_ADDRESS_CHARS]
    return known if channel in PLAIN else f"{channel[:20]}:{known}"


def person_at(channel: str, address: str, name: str | None) -> Party:
    """The person at an address of a channel."""
    if channel in PHONES:
        return party_of(address, name)
    scheme = "psid" if channel == "messenger" else "opaque"
    return Party(scheme=scheme, value=address.strip()[:MAX_ADDRESS_CHARS], display_name=name, verified="channel")


def ends_in(thread: str) -> Ends:
    """The ends of a thread. Raises InvalidPayload for one that is no pair."""
    ours, theirs = ends_of(thread)
    channel, separator, address = theirs.partition(":")
    if not separator:
        return Ends(channel="sms", ours=_written(ours), theirs=_written(theirs))
    return Ends(channel=channel, ours=_written(ours.removeprefix(f"{channel}:")), theirs=_written(address))


def _written(address: str) -> str:
    """Vonage writes numbers without the plus. https://developer.vonage.com/en/api/messages"""
    return address.removeprefix("+")
