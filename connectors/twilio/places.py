"""Who is at the two ends of a message or call, and which thread that is.

Twilio carries other channels' messages as well: then an address has the channel in front (``whatsapp:+12025550147``,
https://www.twilio.com/docs/whatsapp/api). The thread keeps it, because a reply needs it.
"""

from __future__ import annotations

import msgspec

from connectors._shared.sms.fields import Fields
from connectors._shared.sms.numbers import MAX_ADDRESS_CHARS, party_of, thread_of
from omnibus.channel.events import Party
from omnibus.errors import InvalidPayload
from omnibus.model.base import Direction

MAX_THREAD_CHARS = 2 * MAX_ADDRESS_CHARS + 1
_SCHEMES = {"messenger": "psid", "sip": "sip"}
_PHONES = frozenset({"whatsapp", "rcs"})
_UNWRITABLE = ("anonymous:", "call:", "sip:", "client:")
_WITHHELD = frozenset({"266696687", "86282452253", "7378742833", "2562533", "8566696"})
"""What Twilio gives for callers who do not show their number: the keys of ANONYMOUS, UNAVAILABLE, RESTRICTED ...

https://help.twilio.com/articles/223179988-Why-am-I-getting-calls-from-these-strange-numbers-
"""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A thread, the customer's address in it, and who spoke first."""

    thread: str
    theirs: str
    direction: Direction = "inbound"


def place_of_message(fields: Fields) -> Place:
    """Somebody wrote to one of our numbers. Raises InvalidPayload without the two numbers."""
    return _place(ours=fields.text("To"), theirs=fields.text("From"))


def place_of_status(fields: Fields) -> Place:
    """One of our messages; our own callback address says in which thread, whatever sender a service chose."""
    place = _place(ours=fields.text("From"), theirs=fields.text("To"), direction="outbound")
    thread = fields.text("thread")
    return msgspec.structs.replace(place, thread=thread) if 0 < len(thread) <= MAX_THREAD_CHARS else place


def place_of_call(fields: Fields) -> Place:
    """The call's two ends; requests about recordings do not name them, so the callback's address may.

    A call of which neither is known is a thread of its own: better there than lost.
    """
    caller = fields.text("From") or fields.text("from")
    called = fields.text("To") or fields.text("to")
    direction = fields.text("Direction") or fields.text("direction")
    if not called:
        call = fields.text("CallSid")[:MAX_ADDRESS_CHARS]
        return Place(thread=f"call:{call}", theirs=f"call:{call}")
    if not caller or caller.removeprefix("+") in _WITHHELD:
        # Each is a person of their own: two of them must not meet in one conversation.
        caller = f"anonymous:{fields.text('CallSid')}"
    if direction.startswith("outbound"):
        return _place(ours=caller, theirs=called, direction="outbound")
    return _place(ours=called, theirs=caller)


def party_at(address: str, name: str | None = None) -> Party:
    """The person at an address."""
    channel, separator, value = address.partition(":")
    if not separator:
        return party_of(address, name)
    if channel in _PHONES:
        return party_of(value, name)
    known = channel in _SCHEMES or channel == "client"
    return Party(
        scheme=_SCHEMES.get(channel, "opaque"),
        value=value[:MAX_ADDRESS_CHARS],
        display_name=name,
        verified="channel" if known else "none",
    )


def is_writable(address: str) -> bool:
    """Whether a text message can be sent there: browsers, SIP phones and withheld numbers take none."""
    return not address.startswith(_UNWRITABLE)


def _place(*, ours: str, theirs: str, direction: Direction = "inbound") -> Place:
    if not ours.strip() or not theirs.strip():
        raise InvalidPayload("From" if ours.strip() else "To", "expected an address, got nothing")
    return Place(thread=thread_of(ours, theirs), theirs=theirs, direction=direction)
