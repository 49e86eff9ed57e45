"""The parts of the Bot API's objects that we read; fields we do not know are left aside.

Facts: https://core.telegram.org/bots/api#available-types
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from connectors._shared.reading import Foreign, Name, Number, Seconds, read
from omnibus.errors import InvalidPayload


class User(Foreign, frozen=True, kw_only=True):
    id: Number
    is_bot: bool = False
    first_name: str = ""
    last_name: str | None = None
    username: str | None = None
    language_code: str | None = None


class Chat(Foreign, frozen=True, kw_only=True):
    id: Number
    type: str = "private"
    title: str | None = None
    username: str | None = None
    first_name: str = ""
    last_name: str | None = None


class PhotoSize(Foreign, frozen=True, kw_only=True):
    file_id: Name
    width: Number = 0
    height: Number = 0
    file_size: Number | None = None


class FileInfo(Foreign, frozen=True, kw_only=True):
    """What Animation, Audio, Document, Video, VideoNote and Voice have in common."""

    file_id: Name
    mime_type: str | None = None
    file_name: str | None = None
    file_size: Number | None = None


class Sticker(Foreign, frozen=True, kw_only=True):
    file_id: Name
    emoji: str | None = None
    is_animated: bool = False
    is_video: bool = False
    file_size: Number | None = None


class Location(Foreign, frozen=True, kw_only=True):
    latitude: float
    longitude: float
    live_period: Number | None = None


class Venue(Foreign, frozen=True, kw_only=True):
    location: Location
    title: str
    address: str = ""


class Contact(Foreign, frozen=True, kw_only=True):
    phone_number: str
    first_name: str
    last_name: str | None = None
    vcard: str | None = None


class Entity(Foreign, frozen=True, kw_only=True):
    """A span of text; offsets count UTF-16 units, so we use what it says and never where it is."""

    type: str
    offset: Number = 0
    url: str | None = None


class WebAppData(Foreign, frozen=True, kw_only=True):
    data: str
    button_text: str | None = None


class Question(Foreign, frozen=True, kw_only=True):
    """What Poll, Dice, Game, Invoice and Checklist say of themselves."""

    question: str | None = None
    emoji: str | None = None
    title: str | None = None


class Origin(Foreign, frozen=True, kw_only=True):
    """Where a forwarded message comes from (MessageOrigin, four kinds)."""

    type: str
    date: Seconds = 0
    sender_user: User | None = None
    sender_user_name: str | None = None
    sender_chat: Chat | None = None
    chat: Chat | None = None


class TextQuote(Foreign, frozen=True, kw_only=True):
    text: str


class Button(Foreign, frozen=True, kw_only=True):
    text: str
    callback_data: str | None = None


class Keyboard(Foreign, frozen=True, kw_only=True):
    inline_keyboard: tuple[tuple[Button, ...], ...] = ()


class DirectTopic(Foreign, frozen=True, kw_only=True):
    topic_id: Number
    user: User | None = None


class Named(Foreign, frozen=True, kw_only=True):
    """What ForumTopicCreated says."""

    name: str | None = None


class Answered(Foreign, frozen=True, kw_only=True):
    """The message that a reply answers."""

    message_id: Number
    sender: User | None = msgspec.field(default=None, name="from")
    sender_chat: Chat | None = None
    text: str | None = None
    caption: str | None = None
    forum_topic_created: Named | None = None


class Message(Foreign, frozen=True, kw_only=True):
    """https://core.telegram.org/bots/api#message"""

    message_id: Number
    date: Seconds
    chat: Chat
    sender: User | None = msgspec.field(default=None, name="from")
    sender_chat: Chat | None = None
    author_signature: str | None = None
    message_thread_id: Number | None = None
    is_topic_message: bool = False
    direct_messages_topic: DirectTopic | None = None
    business_connection_id: str | None = None
    sender_business_bot: User | None = None
    is_from_offline: bool = False
    is_automatic_forward: bool = False
    edit_date: Seconds | None = None
    media_group_id: str | None = None
    via_bot: User | None = None
    forward_origin: Origin | None = None
    reply_to_message: Answered | None = None
    quote: TextQuote | None = None
    reply_markup: Keyboard | None = None

    text: str | None = None
    entities: tuple[Entity, ...] = ()
    caption: str | None = None
    caption_entities: tuple[Entity, ...] = ()
    photo: Annotated[tuple[PhotoSize, ...], Meta(min_length=1)] | None = None
    animation: FileInfo | None = None
    audio: FileInfo | None = None
    document: FileInfo | None = None
    video: FileInfo | None = None
    video_note: FileInfo | None = None
    voice: FileInfo | None = None
    sticker: Sticker | None = None
    location: Location | None = None
    venue: Venue | None = None
    contact: Contact | None = None
    web_app_data: WebAppData | None = None
    poll: Question | None = None
    dice: Question | None = None
    game: Question | None = None
    invoice: Question | None = None
    checklist: Question | None = None

    new_chat_members: tuple[User, ...] | None = None
    left_chat_member: User | None = None
    new_chat_title: str | None = None
    migrate_to_chat_id: Number | None = None
    migrate_from_chat_id: Number | None = None


class CallbackQuery(Foreign, frozen=True, kw_only=True):
    """https://core.telegram.org/bots/api#callbackquery; it has no time of its own."""

    id: str
    sender: User = msgspec.field(name="from")
    message: PressedMessage | None = None
    data: str | None = None
    game_short_name: str | None = None


class PressedMessage(Foreign, frozen=True, kw_only=True):
    """The message the button is on; only its number and chat when it is too old (InaccessibleMessage)."""

    message_id: Number
    chat: Chat
    message_thread_id: Number | None = None
    is_topic_message: bool = False
    direct_messages_topic: DirectTopic | None = None
    business_connection_id: str | None = None
    reply_markup: Keyboard | None = None


class ReactionType(Foreign, frozen=True, kw_only=True):
    type: str
    emoji: str | None = None
    custom_emoji_id: str | None = None


class ReactionUpdate(Foreign, frozen=True, kw_only=True):
    """https://core.telegram.org/bots/api#messagereactionupdated"""

    chat: Chat
    message_id: Number
    date: Seconds
    user: User | None = None
    actor_chat: Chat | None = None
    old_reaction: tuple[ReactionType, ...] = ()
    new_reaction: tuple[ReactionType, ...] = ()


class Member(Foreign, frozen=True, kw_only=True):
    user: User
    status: str


class MemberUpdate(Foreign, frozen=True, kw_only=True):
    """https://core.telegram.org/bots/api#chatmemberupdated"""

    chat: Chat
    date: Seconds
    old_chat_member: Member
    new_chat_member: Member
    sender: User = msgspec.field(name="from")


class JoinRequest(Foreign, frozen=True, kw_only=True):
    """https://core.telegram.org/bots/api#chatjoinrequest"""

    chat: Chat
    date: Seconds
    sender: User = msgspec.field(name="from")


class BusinessConnection(Foreign, frozen=True, kw_only=True):
    """https://core.telegram.org/bots/api#businessconnection"""

    id: str
    user: User
    user_chat_id: Number
    date: Seconds
    is_enabled: bool = True


class BusinessDeletion(Foreign, frozen=True, kw_only=True):
    """https://core.telegram.org/bots/api#businessmessagesdeleted"""

    business_connection_id: str
    chat: Chat
    message_ids: tuple[Number, ...]


class Located(Foreign, frozen=True, kw_only=True):
    """What an update of an unknown kind may tell about where and who."""

    chat: Chat | None = None
    message: PressedMessage | None = None
    date: Seconds | None = None
    sender: User | None = msgspec.field(default=None, name="from")
    user: User | None = None


class Update(Foreign, frozen=True, kw_only=True):
    """An update: its number, and the parts it has (one, as documented) by kind."""

    update_id: int
    parts: dict[str, msgspec.Raw]


def read_update(body: bytes) -> Update:
    """Raises InvalidPayload with the path that failed."""
    fields = read(body, dict[str, msgspec.Raw])
    update_id = read(fields.pop("update_id", msgspec.Raw(b"null")), Number, "update_id")
    parts = {kind: part for kind, part in fields.items() if bytes(part) != b"null"}
    if not parts:
        raise InvalidPayload("$", "expected an update of some kind")
    return Update(update_id=update_id, parts=parts)
