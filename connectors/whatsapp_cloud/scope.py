"""A change of a webhook, and what everything in it has in common."""

from __future__ import annotations

import hashlib

import msgspec

from connectors.whatsapp_cloud.payload import Change, Entry, Value
from connectors.whatsapp_cloud.place import ACCOUNT, GROUP, Person, Place
from omnibus.model.raw import RawEvent


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A change, and what everything in it has in common."""

    raw: RawEvent
    entry: Entry
    change: Change
    value: Value
    number: str

    def place(self, person: Person, group: str | None = None) -> Place:
        return Place(number=self.number, other=f"{GROUP}{group}" if group else person.key)

    @property
    def account(self) -> Place:
        return Place(number=self.number, other=ACCOUNT)

    @property
    def fingerprint(self) -> str:
        """Names what has no id of its own; Meta repeats a request with the same bytes."""
        return hashlib.sha256(b"%d:" % (self.entry.time or 0) + bytes(self.change.value)).hexdigest()[:32]
