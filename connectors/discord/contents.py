"""What a Discord message says, in our words. https://docs.discord.com/developers/resources/message#message-object"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors._shared.said import Said
from connectors.discord.payload import Attachment, Message, StickerItem
from omnibus.channel.events import Media
from omnibus.model.content import (
    AttachmentRef,
    Audio,
    Content,
    File,
    Image,
    Sticker,
    System,
    Text,
    Unsupported,
    Video,
)

FIRST = "0"
IS_VOICE_MESSAGE = 1 << 13
"""https://docs.discord.com/developers/resources/message#message-object-message-flags"""

STICKERS: Mapping[int, tuple[str, str]] = {
    # Formats: https://docs.discord.com/developers/resources/sticker#sticker-object-sticker-format-types,
    # addresses: https://docs.discord.com/developers/reference#image-formatting-cdn-endpoints
    1: ("image/png", "https://cdn.discordapp.com/stickers/{id}.png"),
    2: ("image/apng", "https://cdn.discordapp.com/stickers/{id}.png"),
    3: ("application/json", "https://cdn.discordapp.com/stickers/{id}.json"),
    4: ("image/gif", "https://media.discordapp.net/stickers/{id}.gif"),
}

SPOKEN = frozenset({0, 19, 20, 23})
"""Types of messages that somebody wrote: plain, reply, and the answers of commands.

https://docs.discord.com/developers/resources/message#message-object-message-types
"""

SERVICE: Mapping[int, str] = {
    1: "member_joined",
    2: "member_left",
    3: "call",
    4: "title_changed",
    5: "photo_changed",
    6: "message_pinned",
    7: "member_joined",
    8: "boost_added",
    9: "boost_added",
    10: "boost_added",
    11: "boost_added",
    12: "channel_followed",
    18: "topic_created",
    21: "topic_created",
    24: "moderated_automatically",
    36: "raid_alert",
    37: "raid_alert",
    38: "raid_alert",
    46: "poll_ended",
}


def said_by(message: Message) -> Said:
    """What the message says. What nobody knows yet is `unsupported`."""
    if message.type in SERVICE:
        return Said(content=System(code=SERVICE[message.type]))
    if message.type not in SPOKEN:
        return Said(content=Unsupported(native_type=f"message_type_{message.type}", summary=message.content or None))
    return _spoken(message)


def _spoken(message: Message) -> Said:
    forwarded = message.message_snapshots[0].message if message.message_snapshots else None
    text = message.content or (forwarded.content if forwarded else None) or ""
    files = [*(message.attachments or ()), *(forwarded.attachments if forwarded else ())]
    if files:
        # The address of a file is only good for a day, so its place is kept: the message that it is in.
        where = f"{message.channel_id}/{message.id}"
        return Said(content=_shown(files[0], text, message), attachments=_media(files, where))
    if message.sticker_items and not text:
        return _sticker(message.sticker_items[0])
    return Said(content=_words(message, text))


def _words(message: Message, text: str) -> Content:
    if text:
        return Text(text=text, format="markdown")
    if message.poll is not None:
        return Unsupported(native_type="poll", summary=message.poll.question.text)
    if message.embeds:
        return Unsupported(native_type="embed", summary=message.embeds[0].title or message.embeds[0].description)
    return Text(text="")


def _shown(file: Attachment, text: str, message: Message) -> Content:
    caption, alt_text = text or None, file.description or None
    match (file.content_type or "").partition("/")[0]:
        case "image":
            return Image(attachment_id=FIRST, caption=caption, alt_text=alt_text)
        case "video":
            return Video(attachment_id=FIRST, caption=caption, alt_text=alt_text)
        case "audio":
            voice = bool((message.flags or 0) & IS_VOICE_MESSAGE)
            return Audio(attachment_id=FIRST, caption=caption, alt_text=alt_text, voice_note=voice)
        case _:
            return File(attachment_id=FIRST, caption=caption, alt_text=alt_text)


def _media(files: Sequence[Attachment], where: str) -> tuple[Media, ...]:
    return tuple(
        Media(
            mime=file.content_type or "application/octet-stream",
            ref=AttachmentRef(scheme="native", uri=f"{where}/{file.id}"),
            file_name=file.filename,
            size=file.size,
        )
        for file in files
    )


def linked(files: Sequence[Attachment]) -> tuple[Media, ...]:
    """Files of a command are in no message: all there is of them is their address."""
    return tuple(
        Media(
            mime=file.content_type or "application/octet-stream",
            ref=AttachmentRef(scheme="url", uri=file.url) if file.url else None,
            file_name=file.filename,
            size=file.size,
        )
        for file in files
    )


def _sticker(item: StickerItem) -> Said:
    mime, address = STICKERS.get(item.format_type, STICKERS[1])
    ref = AttachmentRef(scheme="url", uri=address.format(id=item.id))
    return Said(
        content=Sticker(attachment_id=FIRST, alt_text=item.name or None), attachments=(Media(mime=mime, ref=ref),)
    )
