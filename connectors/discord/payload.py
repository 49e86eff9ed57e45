"""The parts of Discord's payloads that we read; fields we do not know are left aside.

Facts: https://docs.discord.com/developers/events/gateway-events, https://docs.discord.com/developers/resources/message,
https://docs.discord.com/developers/interactions/receiving-and-responding
"""

from __future__ import annotations

import msgspec

from connectors._shared.reading import Foreign, Number
from connectors.discord.snowflake import Snowflake


class Frame(Foreign, frozen=True, kw_only=True):
    """https://docs.discord.com/developers/events/gateway-events#payload-structure"""

    op: int
    t: str | None = None
    s: Number | None = None
    d: msgspec.Raw = msgspec.Raw(b"null")


class User(Foreign, frozen=True, kw_only=True):
    id: Snowflake
    username: str | None = None
    global_name: str | None = None
    bot: bool = False


class Member(Foreign, frozen=True, kw_only=True):
    nick: str | None = None
    user: User | None = None


class Attachment(Foreign, frozen=True, kw_only=True):
    """https://docs.discord.com/developers/resources/message#attachment-object"""

    id: Snowflake
    filename: str | None = None
    content_type: str | None = None
    size: Number | None = None
    description: str | None = None
    url: str | None = None


class StickerItem(Foreign, frozen=True, kw_only=True):
    """https://docs.discord.com/developers/resources/sticker#sticker-item-object"""

    id: Snowflake
    name: str = ""
    format_type: Number = 1


class Embed(Foreign, frozen=True, kw_only=True):
    title: str | None = None
    description: str | None = None


class Words(Foreign, frozen=True, kw_only=True):
    text: str | None = None


class Poll(Foreign, frozen=True, kw_only=True):
    question: Words = Words()


class Reference(Foreign, frozen=True, kw_only=True):
    """What a message answers (type 0) or forwards (type 1)."""

    type: Number = 0
    message_id: Snowflake | None = None


class Answered(Foreign, frozen=True, kw_only=True):
    content: str | None = None
    author: User | None = None


class Forwarded(Foreign, frozen=True, kw_only=True):
    content: str | None = None
    attachments: tuple[Attachment, ...] = ()


class Snapshot(Foreign, frozen=True, kw_only=True):
    message: Forwarded = Forwarded()


class Message(Foreign, frozen=True, kw_only=True):
    """https://docs.discord.com/developers/resources/message#message-object"""

    id: Snowflake
    channel_id: Snowflake
    guild_id: Snowflake | None = None
    author: User
    member: Member | None = None
    content: str | None = None
    edited_timestamp: str | None = None
    type: Number = 0
    flags: Number | None = None
    attachments: tuple[Attachment, ...] | None = None
    sticker_items: tuple[StickerItem, ...] | None = None
    embeds: tuple[Embed, ...] | None = None
    poll: Poll | None = None
    mentions: tuple[User, ...] | None = None
    message_reference: Reference | None = None
    referenced_message: Answered | None = None
    message_snapshots: tuple[Snapshot, ...] | None = None
    webhook_id: Snowflake | None = None


class Deleted(Foreign, frozen=True, kw_only=True):
    """https://docs.discord.com/developers/events/gateway-events#message-delete"""

    id: Snowflake
    channel_id: Snowflake


class DeletedMany(Foreign, frozen=True, kw_only=True):
    ids: tuple[Snowflake, ...]
    channel_id: Snowflake


class Emoji(Foreign, frozen=True, kw_only=True):
    """`name` alone for a character, with `id` for a picture of a server's own."""

    id: Snowflake | None = None
    name: str | None = None


class Reacted(Foreign, frozen=True, kw_only=True):
    """https://docs.discord.com/developers/events/gateway-events#message-reaction-add"""

    user_id: Snowflake
    channel_id: Snowflake
    message_id: Snowflake
    member: Member | None = None
    emoji: Emoji


class Cleared(Foreign, frozen=True, kw_only=True):
    """All reactions of a message are gone, or all of one emoji."""

    channel_id: Snowflake
    message_id: Snowflake
    emoji: Emoji | None = None


class Located(Foreign, frozen=True, kw_only=True):
    """What an event of an unknown kind may tell about where and who."""

    channel_id: Snowflake | None = None
    user_id: Snowflake | None = None


# --- interactions -------------------------------------------------------------------------------


class Option(Foreign, frozen=True, kw_only=True):
    """An argument of a command, or a command of a command."""

    name: str
    value: str | float | bool | None = None
    options: tuple[Option, ...] = ()


class Resolved(Foreign, frozen=True, kw_only=True):
    attachments: dict[str, Attachment] = {}


class Input(Foreign, frozen=True, kw_only=True):
    """An element of a form, or something that holds elements."""

    custom_id: str | None = None
    value: str | None = None
    values: tuple[str, ...] | None = None
    components: tuple[Input, ...] = ()
    component: Input | None = None


class Data(Foreign, frozen=True, kw_only=True):
    """What was called, pressed or filled in, by the type of the interaction."""

    name: str | None = None
    options: tuple[Option, ...] = ()
    resolved: Resolved | None = None
    target_id: Snowflake | None = None
    custom_id: str | None = None
    values: tuple[str, ...] | None = None
    components: tuple[Input, ...] = ()


class Select(Foreign, frozen=True, kw_only=True):
    label: str = ""
    value: str = ""


class Component(Foreign, frozen=True, kw_only=True):
    """https://docs.discord.com/developers/components/reference"""

    custom_id: str | None = None
    label: str | None = None
    options: tuple[Select, ...] = ()
    components: tuple[Component, ...] = ()


class Shown(Foreign, frozen=True, kw_only=True):
    """The message an element is on."""

    id: Snowflake
    components: tuple[Component, ...] = ()


class Interaction(Foreign, frozen=True, kw_only=True):
    """https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-object"""

    id: Snowflake
    type: Number
    token: str = ""
    data: Data | None = None
    guild_id: Snowflake | None = None
    channel_id: Snowflake | None = None
    member: Member | None = None
    user: User | None = None
    message: Shown | None = None
    locale: str | None = None
