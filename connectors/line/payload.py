"""The parts of LINE's webhook events that we read; fields we do not know are left aside.

Facts: https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects,
https://github.com/line/line-openapi/blob/main/webhook.yml
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from connectors._shared.reading import Foreign, Milliseconds, Name, Number

Degrees = Annotated[float, Meta(ge=-180, le=180)]


class Source(Foreign, frozen=True, kw_only=True, rename="camel"):
    """A user, a group or a room; users of groups are named only when they have agreed to it."""

    type: str = ""
    user_id: Name | None = None
    group_id: Name | None = None
    room_id: Name | None = None


class Context(Foreign, frozen=True, kw_only=True, rename="camel"):
    is_redelivery: bool = False


class ContentProvider(Foreign, frozen=True, kw_only=True, rename="camel"):
    """Where the bytes are: at LINE, or at an address of somebody else (sent with LIFF)."""

    type: str = "line"
    original_content_url: str | None = None


class ImageSet(Foreign, frozen=True, kw_only=True):
    id: str
    index: Number | None = None
    total: Number | None = None


class Mentionee(Foreign, frozen=True, kw_only=True, rename="camel"):
    type: str = ""
    user_id: str | None = None


class Mention(Foreign, frozen=True, kw_only=True):
    mentionees: tuple[Mentionee, ...] = ()


class Message(Foreign, frozen=True, kw_only=True, rename="camel"):
    """https://developers.line.biz/en/reference/messaging-api/#message-event"""

    type: str
    id: Name
    quote_token: str | None = None
    quoted_message_id: str | None = None
    text: str | None = None
    mention: Mention | None = None
    content_provider: ContentProvider | None = None
    image_set: ImageSet | None = None
    file_name: str | None = None
    file_size: Number | None = None
    title: str | None = None
    address: str | None = None
    latitude: Degrees | None = None
    longitude: Degrees | None = None
    package_id: str | None = None
    sticker_id: str | None = None
    keywords: tuple[str, ...] | None = None


class Unsend(Foreign, frozen=True, kw_only=True, rename="camel"):
    message_id: Name


class Follow(Foreign, frozen=True, kw_only=True, rename="camel"):
    is_unblocked: bool = False


class Members(Foreign, frozen=True, kw_only=True):
    members: tuple[Source, ...] = ()


class Postback(Foreign, frozen=True, kw_only=True):
    """`params` are what a date picker or a change of the rich menu adds."""

    data: str
    params: dict[str, str] | None = None


class Watched(Foreign, frozen=True, kw_only=True, rename="camel"):
    tracking_id: str


class Beacon(Foreign, frozen=True, kw_only=True):
    hwid: str
    type: str
    dm: str | None = None


class AccountLink(Foreign, frozen=True, kw_only=True):
    result: str
    nonce: str


class Membership(Foreign, frozen=True, kw_only=True, rename="camel"):
    type: str
    membership_id: Number


class Event(Foreign, frozen=True, kw_only=True, rename="camel"):
    """What all events tell, and the parts that kinds of events have."""

    type: str
    timestamp: Milliseconds
    source: Source | None = None
    mode: str = "active"
    webhook_event_id: Name | None = None
    delivery_context: Context = Context()
    reply_token: str | None = None


class MessageEvent(Event, frozen=True, kw_only=True, rename="camel"):
    message: Message


class UnsendEvent(Event, frozen=True, kw_only=True, rename="camel"):
    unsend: Unsend


class FollowEvent(Event, frozen=True, kw_only=True, rename="camel"):
    follow: Follow = Follow()


class MembersEvent(Event, frozen=True, kw_only=True, rename="camel"):
    """Members who came, or those who left."""

    joined: Members = Members()
    left: Members = Members()


class PostbackEvent(Event, frozen=True, kw_only=True, rename="camel"):
    postback: Postback


class WatchedEvent(Event, frozen=True, kw_only=True, rename="camel"):
    video_play_complete: Watched


class BeaconEvent(Event, frozen=True, kw_only=True, rename="camel"):
    beacon: Beacon


class AccountLinkEvent(Event, frozen=True, kw_only=True, rename="camel"):
    link: AccountLink


class MembershipEvent(Event, frozen=True, kw_only=True, rename="camel"):
    membership: Membership


class Callback(Foreign, frozen=True, kw_only=True):
    """https://developers.line.biz/en/reference/messaging-api/#request-body"""

    events: tuple[msgspec.Raw, ...]
