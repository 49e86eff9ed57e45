"""What Meta writes in several ways, and whose part of a request is whose."""

from __future__ import annotations

from connectors._shared.reading import Name, Number
from omnibus.channel.receive import ADDRESSES
from omnibus.model.raw import RawEvent

AnyId = Name | Number
"""Meta writes the same id as text in one place, and as a number in another."""


def is_for(raw: RawEvent, address: str) -> bool:
    """Whether this copy of a request is for that address (see `Webhook.addresses`)."""
    addresses = raw.attributes.get(ADDRESSES)
    return addresses is None or address in addresses.split(" ")
