"""What a Viber message says, in our words. https://developers.viber.com/docs/api/rest-bot-api/#message-types"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from connectors._shared.reading import LONGEST_NATIVE_TYPE
from connectors._shared.said import Said
from connectors.viber.choices import chosen
from connectors.viber.payload import Contact, Message
from omnibus.channel.events import Media
from omnibus.model.content import (
    AttachmentRef,
    ContactCard,
    File,
    Image,
    Location,
    Sticker,
    Text,
    Unsupported,
    Video,
)

FIRST = "0"
MEDIA_LIVES = timedelta(hours=1)
"""https://developers.viber.com/docs/api/rest-bot-api/#receive-message-from-user"""


def said_by(message: Message, at: datetime) -> Said:
    """What the message says; a kind that nobody knows yet is `unsupported`."""
    return CONTENTS.get(message.type, unknown)(message, at)


def text(message: Message, at: datetime) -> Said:
    return Said(content=chosen(message.text or "", message.tracking_data))


def url(message: Message, at: datetime) -> Said:
    """An address that somebody shared."""
    return Said(content=Text(text=message.media or message.text or ""))


def picture(message: Message, at: datetime) -> Said:
    content = Image(attachment_id=FIRST, caption=message.text or None)
    return Said(content=content, attachments=(_media(message, "image/jpeg", at),))


def video(message: Message, at: datetime) -> Said:
    content = Video(attachment_id=FIRST, caption=message.text or None)
    return Said(content=content, attachments=(_media(message, "video/mp4", at),))


def file(message: Message, at: datetime) -> Said:
    content = File(attachment_id=FIRST, caption=message.text or None)
    return Said(content=content, attachments=(_media(message, "application/octet-stream", at),))


def sticker(message: Message, at: datetime) -> Said:
    return Said(content=Sticker(attachment_id=FIRST), attachments=(_media(message, "image/png", at),))


def location(message: Message, at: datetime) -> Said:
    spot = message.location
    return unknown(message, at) if spot is None else Said(content=Location(lat=spot.lat, lon=spot.lon))


def contact(message: Message, at: datetime) -> Said:
    found = message.contact
    return unknown(message, at) if found is None else Said(content=ContactCard(vcards=(_vcard(found),)))


def unknown(message: Message, at: datetime) -> Said:
    return Said(content=Unsupported(native_type=message.type[:LONGEST_NATIVE_TYPE], summary=message.text))


def _media(message: Message, mime: str, at: datetime) -> Media:
    """The address of a file, which is public and soon gone."""
    ref = AttachmentRef(scheme="url", uri=message.media, expires_at=at + MEDIA_LIVES) if message.media else None
    return Media(mime=mime, ref=ref, file_name=message.file_name or None, size=message.size)


def _vcard(found: Contact) -> str:
    """https://www.rfc-editor.org/rfc/rfc6350"""
    lines = ("BEGIN:VCARD", "VERSION:4.0", f"FN:{_escaped(found.name)}", f"TEL:{_escaped(found.phone_number)}")
    return "\r\n".join((*lines, "END:VCARD")) + "\r\n"


def _escaped(value: str) -> str:
    for mark, written in (("\\", "\\\\"), (",", "\\,"), (";", "\\;"), ("\r", ""), ("\n", "\\n")):
        value = value.replace(mark, written)
    return value


CONTENTS: Mapping[str, Callable[[Message, datetime], Said]] = {
    "text": text,
    "url": url,
    "picture": picture,
    "video": video,
    "file": file,
    "sticker": sticker,
    "location": location,
    "contact": contact,
}
