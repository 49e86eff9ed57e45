"""What a Telegram message says, in our words: a table of small functions, one for each kind of content."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from connectors._shared.reading import LONGEST_NATIVE_TYPE, read
from connectors._shared.said import Said
from connectors.telegram.updates import Contact, FileInfo, Location, Message, User
from omnibus.channel.events import Media
from omnibus.model.base import Attributes
from omnibus.model.content import (
    AttachmentRef,
    Audio,
    ContactCard,
    File,
    Image,
    Postback,
    Sticker,
    System,
    Text,
    Unsupported,
    Video,
)
from omnibus.model.content import Location as Spot

FIRST = "0"
"""The place of a message's only attachment."""
LONGEST_PARAM = 500


def said_by(message: Message, kinds: frozenset[str]) -> Said:
    """What the message says; `kinds` are the names of all its fields. What nobody knows yet is `unsupported`."""
    for kind, build in CONTENTS.items():
        if kind in kinds:
            return build(message)
    for kind in SERVICE:
        if kind in kinds:
            return Said(content=System(code=SERVICE[kind], params=_service_params(message)))
    return Said(content=Unsupported(native_type=_native_type(kinds), summary=_summary(message)))


# --- words, places, people ----------------------------------------------------------------------


def text(message: Message) -> Said:
    return Said(content=Text(text=message.text or ""))


def location(message: Message) -> Said:
    return Said(content=_spot(message.location)) if message.location else _empty("location")


def venue(message: Message) -> Said:
    found = message.venue
    if found is None:
        return _empty("venue")
    spot = _spot(found.location)
    return Said(content=msgspec.structs.replace(spot, name=found.title, address=found.address or None))


def contact(message: Message) -> Said:
    return Said(content=ContactCard(vcards=(_vcard(message.contact),))) if message.contact else _empty("contact")


def web_app_data(message: Message) -> Said:
    found = message.web_app_data
    return Said(content=Postback(payload=found.data, title=found.button_text)) if found else _empty("web_app_data")


def _spot(found: Location) -> Spot:
    return Spot(lat=found.latitude, lon=found.longitude, live=found.live_period is not None)


def _vcard(found: Contact) -> str:
    """The card that came along, or one made of the name and number (RFC 6350)."""
    if found.vcard:
        return found.vcard
    name = " ".join(part for part in (found.first_name, found.last_name) if part)
    lines = ("BEGIN:VCARD", "VERSION:4.0", f"FN:{_escaped(name)}", f"TEL:{_escaped(found.phone_number)}", "END:VCARD")
    return "\r\n".join(lines) + "\r\n"


def _escaped(value: str) -> str:
    for mark, written in (("\\", "\\\\"), (",", "\\,"), (";", "\\;"), ("\r", ""), ("\n", "\\n")):
        value = value.replace(mark, written)
    return value


# --- files --------------------------------------------------------------------------------------


def photo(message: Message) -> Said:
    """Telegram gives one picture in several sizes; the largest is the one that was sent."""
    largest = max(message.photo or (), key=lambda size: size.width * size.height, default=None)
    if largest is None:
        return _empty("photo")
    media = Media(mime="image/jpeg", ref=_native(largest.file_id), size=largest.file_size)
    return Said(content=Image(attachment_id=FIRST, caption=message.caption), attachments=(media,))


def video(message: Message) -> Said:
    """A film, a looping animation, or a round video note."""
    info = message.animation or message.video or message.video_note
    if info is None:
        return _empty("video")
    return Said(content=Video(attachment_id=FIRST, caption=message.caption), attachments=(_media(info, "video/mp4"),))


def audio(message: Message) -> Said:
    info = message.audio
    if info is None:
        return _empty("audio")
    return Said(content=Audio(attachment_id=FIRST, caption=message.caption), attachments=(_media(info, "audio/mpeg"),))


def voice(message: Message) -> Said:
    if message.voice is None:
        return _empty("voice")
    content = Audio(attachment_id=FIRST, caption=message.caption, voice_note=True)
    return Said(content=content, attachments=(_media(message.voice, "audio/ogg"),))


def document(message: Message) -> Said:
    info = message.document
    if info is None:
        return _empty("document")
    media = _media(info, "application/octet-stream")
    return Said(content=File(attachment_id=FIRST, caption=message.caption), attachments=(media,))


def sticker(message: Message) -> Said:
    """Formats: https://core.telegram.org/stickers"""
    found = message.sticker
    if found is None:
        return _empty("sticker")
    mime = "application/x-tgsticker" if found.is_animated else "video/webm" if found.is_video else "image/webp"
    media = Media(mime=mime, ref=_native(found.file_id), size=found.file_size)
    return Said(content=Sticker(attachment_id=FIRST, alt_text=found.emoji), attachments=(media,))


def _media(info: FileInfo, mime: str) -> Media:
    return Media(mime=info.mime_type or mime, ref=_native(info.file_id), file_name=info.file_name, size=info.file_size)


def _native(file_id: str) -> AttachmentRef:
    return AttachmentRef(scheme="native", uri=file_id)


# --- what the chat itself says ------------------------------------------------------------------


def _service_params(message: Message) -> Attributes:
    """The facts of a service message that are worth reading."""
    people = message.new_chat_members or ((message.left_chat_member,) if message.left_chat_member else ())
    facts: dict[str, str | None] = {
        "names": ", ".join(full_name(user) for user in people) or None,
        "user_ids": ",".join(str(user.id) for user in people) or None,
        "title": message.new_chat_title,
        "to_chat": None if message.migrate_to_chat_id is None else str(message.migrate_to_chat_id),
        "from_chat": None if message.migrate_from_chat_id is None else str(message.migrate_from_chat_id),
    }
    return {name: value[:LONGEST_PARAM] for name, value in facts.items() if value is not None}


def full_name(user: User) -> str:
    return " ".join(part for part in (user.first_name, user.last_name) if part)


# --- what we cannot show ------------------------------------------------------------------------


def _empty(kind: str) -> Said:
    return Said(content=Unsupported(native_type=kind))


def _native_type(kinds: frozenset[str]) -> str:
    return min(kinds - ABOUT, default="message")[:LONGEST_NATIVE_TYPE]


def _summary(message: Message) -> str | None:
    for found in (message.poll, message.dice, message.game, message.invoice, message.checklist):
        if found is not None:
            return found.question or found.emoji or found.title
    return message.caption


def kinds_of(part: msgspec.Raw, path: str) -> frozenset[str]:
    """The names of the fields that are there."""
    fields = read(part, dict[str, msgspec.Raw], path)
    return frozenset(name for name, value in fields.items() if bytes(value) != b"null")


CONTENTS: Mapping[str, Callable[[Message], Said]] = {
    "text": text,
    "photo": photo,
    "animation": video,  # before "document", which Telegram repeats for old clients
    "video": video,
    "video_note": video,
    "audio": audio,
    "voice": voice,
    "document": document,
    "sticker": sticker,
    "venue": venue,  # before "location", which Telegram repeats for old clients
    "location": location,
    "contact": contact,
    "web_app_data": web_app_data,
}

SERVICE: Mapping[str, str] = {  # https://core.telegram.org/bots/api#message, the fields named "service message"
    "new_chat_members": "member_joined",
    "left_chat_member": "member_left",
    "new_chat_title": "title_changed",
    "new_chat_photo": "photo_changed",
    "delete_chat_photo": "photo_deleted",
    "group_chat_created": "chat_created",
    "supergroup_chat_created": "chat_created",
    "channel_chat_created": "chat_created",
    "message_auto_delete_timer_changed": "auto_delete_changed",
    "migrate_to_chat_id": "chat_moved",
    "migrate_from_chat_id": "chat_moved",
    "pinned_message": "message_pinned",
    "forum_topic_created": "topic_created",
    "forum_topic_edited": "topic_edited",
    "forum_topic_closed": "topic_closed",
    "forum_topic_reopened": "topic_reopened",
    "general_forum_topic_hidden": "topic_hidden",
    "general_forum_topic_unhidden": "topic_unhidden",
    "video_chat_scheduled": "group_call_scheduled",
    "video_chat_started": "group_call_started",
    "video_chat_ended": "group_call_ended",
    "video_chat_participants_invited": "group_call_invited",
    "write_access_allowed": "writing_allowed",
    "connected_website": "website_connected",
    "successful_payment": "payment_received",
    "refunded_payment": "payment_refunded",
    "users_shared": "users_shared",
    "chat_shared": "chat_shared",
    "boost_added": "boost_added",
    "chat_background_set": "background_set",
    "proximity_alert_triggered": "proximity_alert",
}

ABOUT = frozenset(  # fields that say something about a message, not what it says
    {
        "message_id",
        "date",
        "chat",
        "from",
        "sender_chat",
        "sender_boost_count",
        "sender_business_bot",
        "sender_tag",
        "business_connection_id",
        "author_signature",
        "paid_star_count",
        "message_thread_id",
        "is_topic_message",
        "direct_messages_topic",
        "is_from_offline",
        "is_automatic_forward",
        "is_paid_post",
        "is_accessible",
        "has_protected_content",
        "has_media_spoiler",
        "show_caption_above_media",
        "edit_date",
        "media_group_id",
        "via_bot",
        "forward_origin",
        "forward_from",
        "forward_from_chat",
        "forward_from_message_id",
        "forward_signature",
        "forward_sender_name",
        "forward_date",
        "reply_to_message",
        "external_reply",
        "quote",
        "reply_to_story",
        "reply_to_checklist_task_id",
        "reply_markup",
        "entities",
        "caption",
        "caption_entities",
        "link_preview_options",
        "effect_id",
        "suggested_post_info",
    }
)
