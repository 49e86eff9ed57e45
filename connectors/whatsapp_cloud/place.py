"""Who talks with which of our numbers: the one place that knows how thread keys of this channel are written.

A thread is one of our numbers and a person, ``<phone number id>:<user>``, or a group, ``<phone number id>:group:<id>``;
what concerns nobody in particular is ``<phone number id>:account``. The user is the business-scoped user id wherever
Meta gives one: it stays when a phone number is hidden behind a username or comes back. Without one it is the phone
number. https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from connectors._shared.reading import facts
from connectors.whatsapp_cloud.payload import Contact
from omnibus.channel.events import Party
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes

GROUP = "group:"
ACCOUNT = "account"
CALLBACK = "omnibus:"
"""Before the other end of the conversation in what we give along with a message, and get back with each report."""
WHATSAPP = Party(scheme="opaque", value="whatsapp", display_name="WhatsApp", is_bot=True)
"""Who speaks when the platform itself does."""

BSUID = "wa_bsuid"
PHONE = "e164"
_DIGITS = re.compile(r"[0-9]{5,20}")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One of our numbers, and who is at the other end."""

    number: str
    other: str

    @property
    def thread(self) -> str:
        return f"{self.number}:{self.other}"

    @property
    def group(self) -> str | None:
        return self.other.removeprefix(GROUP) if self.other.startswith(GROUP) else None


def place_of(thread: str) -> Place:
    """The place a thread key names. Raises InvalidPayload when it is none of this channel's."""
    number, separator, other = thread.partition(":")
    if not number or not separator or not other:
        raise InvalidPayload("conversation.thread_key", "expected one of our numbers and a WhatsApp user")
    return Place(number=number, other=other)


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A WhatsApp user: at least one of `user_id` and `phone`."""

    user_id: str | None = None
    phone: str | None = None
    name: str | None = None
    username: str | None = None
    parent_user_id: str | None = None

    @property
    def key(self) -> str:
        return self.user_id or self.phone or ""

    @property
    def party(self) -> Party:
        """WhatsApp vouches for both kinds of id."""
        normalized = f"+{self.phone}" if not self.user_id and _DIGITS.fullmatch(self.phone or "") else None
        return Party(
            scheme=BSUID if self.user_id else PHONE,
            value=self.key,
            normalized=normalized,
            display_name=self.name or None,
            username=self.username or None,
            verified="channel",
        )

    @property
    def attributes(self) -> Attributes:
        """What else is known: the phone number of somebody who is identified without it."""
        return facts(phone=self.phone if self.user_id else None, parent_user_id=self.parent_user_id)


def person_of(user_id: str | None, phone: str | None, contacts: Iterable[Contact], path: str) -> Person:
    """The user of those ids, with what the change's contacts know of them. Raises InvalidPayload without any id."""
    contact = _contact_of(user_id, phone, tuple(contacts))
    person = Person(
        user_id=user_id or contact.user_id or None,
        phone=phone or contact.wa_id or None,
        name=contact.profile.name,
        username=contact.profile.username,
        parent_user_id=contact.parent_user_id,
    )
    if not person.key:
        raise InvalidPayload(path, "expected a phone number or a user id")
    return person


def _contact_of(user_id: str | None, phone: str | None, contacts: tuple[Contact, ...]) -> Contact:
    """By id; a message that names nobody is of the only contact there is."""
    for contact in contacts:
        if (user_id and contact.user_id == user_id) or (phone and contact.wa_id == phone):
            return contact
    nameless = not user_id and not phone
    return contacts[0] if nameless and len(contacts) == 1 else Contact()
