"""What the Messages API sends. https://developer.vonage.com/en/api/messages#webhooks"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from connectors._shared.reading import Foreign

Coordinate = Annotated[float, Meta(ge=-180, le=180)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Linked(Foreign, frozen=True, kw_only=True):
    """A file."""

    url: str = ""
    caption: str | None = None
    name: str | None = None


class Place(Foreign, frozen=True, kw_only=True):
    """A location."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    long: Coordinate
    name: str | None = None
    address: str | None = None


class Chosen(Foreign, frozen=True, kw_only=True):
    """A list entry or suggested reply."""

    id: str = ""
    title: str | None = None
    description: str | None = None


class Pressed(Foreign, frozen=True, kw_only=True):
    """A button of a template."""

    payload: str = ""
    text: str | None = None


class Reacted(Foreign, frozen=True, kw_only=True):
    """A reaction."""

    action: str = "react"
    emoji: str | None = None


class OrderItem(Foreign, frozen=True, kw_only=True):
    """A line of a basket."""

    product_retailer_id: str = ""
    quantity: Any = 1
    item_price: Any = None
    currency: str | None = None


class Ordered(Foreign, frozen=True, kw_only=True):
    """A basket."""

    product_items: tuple[OrderItem, ...] = ()
    text: str | None = None


class Profile(Foreign, frozen=True, kw_only=True):
    """What the channel says of the person."""

    name: str | None = None


class Context(Foreign, frozen=True, kw_only=True):
    """What a message answers."""

    message_uuid: str | None = None


class Part(Foreign, frozen=True, kw_only=True):
    """A file of a message that has several."""

    type: str = "file"
    url: str = ""


class Advertisement(Foreign, frozen=True, kw_only=True):
    """Where a WhatsApp conversation began."""

    source_type: str | None = None
    source_id: str | None = None
    source_url: str | None = None


class WhatsApp(Foreign, frozen=True, kw_only=True):
    """What only WhatsApp says."""

    referral: Advertisement | None = None


class Failure(Foreign, frozen=True, kw_only=True):
    """Why a message did not arrive."""

    type: str | None = None
    title: str | int | None = None


class Notice(Foreign, frozen=True, kw_only=True):
    """An inbound message, or the status of one of ours (then `status` is there)."""

    message_uuid: str
    channel: str = "sms"
    to: str | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    timestamp: str | None = None
    message_type: str | None = None
    status: str | None = None
    client_ref: str | None = None
    text: str | None = None
    image: Linked | None = None
    audio: Linked | None = None
    video: Linked | None = None
    file: Linked | None = None
    sticker: Linked | None = None
    vcard: Linked | None = None
    content: tuple[Part, ...] = ()
    location: Place | None = None
    reply: Chosen | None = None
    button: Pressed | None = None
    reaction: Reacted | None = None
    order: Ordered | None = None
    profile: Profile | None = None
    context: Context | None = None
    whatsapp: WhatsApp | None = None
    error: Failure | None = None
