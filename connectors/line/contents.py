"""What a LINE message says, in our words. https://developers.line.biz/en/reference/messaging-api/#message-event"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connectors._shared.reading import LONGEST_NATIVE_TYPE
from connectors._shared.said import Said
from connectors.line.payload import Message
from omnibus.channel.events import Media
from omnibus.model.content import (
    AttachmentRef,
    Audio,
    File,
    Image,
    Location,
    Sticker,
    Text,
    Unsupported,
    Video,
)

FIRST = "0"


def said_by(message: Message) -> Said:
    """What the message says; a kind that nobody knows yet is `unsupported`."""
    return CONTENTS.get(message.type, unknown)(message)


def text(message: Message) -> Said:
    return Said(content=Text(text=message.text or ""))


def image(message: Message) -> Said:
    return Said(content=Image(attachment_id=FIRST), attachments=(_media(message, "image/jpeg"),))


def video(message: Message) -> Said:
    return Said(content=Video(attachment_id=FIRST), attachments=(_media(message, "video/mp4"),))


def audio(message: Message) -> Said:
    """Spoken into the app: LINE has no other sounds."""
    media = _media(message, "audio/mp4")
    return Said(content=Audio(attachment_id=FIRST, voice_note=True), attachments=(media,))


def file(message: Message) -> Said:
    return Said(content=File(attachment_id=FIRST), attachments=(_media(message, "application/octet-stream"),))


def sticker(message: Message) -> Said:
    """LINE says which sticker it is, and gives no picture of it."""
    keywords = ", ".join(message.keywords or ()) or None
    content = Sticker(attachment_id=FIRST, caption=message.text or None, alt_text=keywords)
    return Said(content=content, attachments=(Media(mime="image/png"),))


def location(message: Message) -> Said:
    if message.latitude is None or message.longitude is None:
        return unknown(message)
    spot = Location(lat=message.latitude, lon=message.longitude, name=message.title, address=message.address)
    return Said(content=spot)


def unknown(message: Message) -> Said:
    return Said(content=Unsupported(native_type=message.type[:LONGEST_NATIVE_TYPE], summary=message.text))


def _media(message: Message, mime: str) -> Media:
    """The id of the message is that of its file; how the file is fetched depends on its kind."""
    provider = message.content_provider
    if provider is not None and provider.type == "external" and provider.original_content_url:
        ref = AttachmentRef(scheme="url", uri=provider.original_content_url)
    else:
        ref = AttachmentRef(scheme="native", uri=f"{message.type}/{message.id}")
    return Media(mime=mime, ref=ref, file_name=message.file_name, size=message.file_size)


CONTENTS: Mapping[str, Callable[[Message], Said]] = {
    "text": text,
    "image": image,
    "video": video,
    "audio": audio,
    "file": file,
    "sticker": sticker,
    "location": location,
}
