"""The parts of Viber's callbacks that we read; fields we do not know are left aside.

Facts: https://developers.viber.com/docs/api/rest-bot-api/#callbacks
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from connectors._shared.reading import Foreign, Milliseconds, Name, Number

Token = Annotated[int, Meta(ge=0, le=2**63 - 1)] | Name
"""Names a message; a number, and in some places the same number as text."""


class User(Foreign, frozen=True, kw_only=True):
    id: Name
    name: str | None = None
    country: str | None = None
    language: str | None = None


class Location(Foreign, frozen=True, kw_only=True):
    lat: float
    lon: float


class Contact(Foreign, frozen=True, kw_only=True):
    name: str = ""
    phone_number: str = ""


class Message(Foreign, frozen=True, kw_only=True):
    """https://developers.viber.com/docs/api/rest-bot-api/#receive-message-from-user"""

    type: str
    text: str | None = None
    media: str | None = None
    file_name: str | None = None
    size: Number | None = None
    sticker_id: Number | str | None = None
    location: Location | None = None
    contact: Contact | None = None
    tracking_data: str | None = None


class Callback(Foreign, frozen=True, kw_only=True):
    """What every callback tells, and the parts that kinds of callbacks have."""

    event: str
    timestamp: Milliseconds
    message_token: Token | None = None
    sender: User | None = None
    user: User | None = None
    user_id: Name | None = None
    message: Message | None = None
    silent: bool | None = None
    context: str | None = None
    subscribed: bool | None = None
    desc: str | None = None
