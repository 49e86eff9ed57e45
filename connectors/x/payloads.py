"""What X sends, as far as we read it. Unknown fields are ignored; ids are read as text, however they are given.

Posts and direct messages: https://docs.x.com/x-api/account-activity/introduction#payload-examples and, field by field,
https://developer.x.com/en/docs/twitter-api/v1/data-dictionary/object-model/tweet; of the X Activity API:
https://docs.x.com/x-api/activity/event-payloads
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from connectors._shared.reading import read
from omnibus import clock
from omnibus.errors import InvalidPayload

MAX_ID = 40
EPOCH_MS = 1_288_834_974_657
"""When the ids of X begin to count milliseconds: https://github.com/twitter-archive/snowflake/blob/
b3f6a3c6ca8e1b6847baa6ff42bf72201e2c2231/src/main/scala/com/twitter/service/snowflake/IdWorker.scala"""
_LAST_MS = 253_402_300_799_000
_MONTHS = {
    month: number
    for number, month in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}

NOTHING = msgspec.Raw(b"null")
Id = str | int
Raws = tuple[msgspec.Raw, ...]


class Part(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of what is read from JSON."""


# --- people ---------------------------------------------------------------------------------------


class Profile(Part, frozen=True, kw_only=True):
    """A user; the X Activity API says `username`, the other one `screen_name`."""

    id: Id | None = None
    id_str: str | None = None
    name: str | None = None
    screen_name: str | None = None
    username: str | None = None
    data: Profile | None = None
    """The user itself, where the X Activity API wraps it."""


# --- links and media ------------------------------------------------------------------------------


class Link(Part, frozen=True, kw_only=True):
    """A shortened address in a text, and what it stands for; with `media_key` it is only the picture's."""

    url: str | None = None
    expanded_url: str | None = None
    media_key: str | None = None


class Variant(Part, frozen=True, kw_only=True):
    """One of the qualities of a film."""

    url: str | None = None
    content_type: str | None = None
    bitrate: int = 0
    bit_rate: int = 0


class VideoInfo(Part, frozen=True, kw_only=True):
    """The qualities there are."""

    variants: tuple[Variant, ...] = ()


class MediaEntity(Part, frozen=True, kw_only=True):
    """A picture, film or looping film. The X Activity API has its address in `url`, the other one in `media_url_https`,
    and in `url` the shortened address in the text."""

    type: str | None = None
    id_str: str | None = None
    media_key: str | None = None
    url: str | None = None
    media_url_https: str | None = None
    video_info: VideoInfo = VideoInfo()
    variants: tuple[Variant, ...] = ()
    ext_alt_text: str | None = None
    alt_text: str | None = None


class Entities(Part, frozen=True, kw_only=True):
    """What a text holds besides words."""

    urls: tuple[Link, ...] = ()
    user_mentions: tuple[Profile, ...] = ()
    mentions: tuple[Profile, ...] = ()
    media: tuple[MediaEntity, ...] = ()


# --- posts ----------------------------------------------------------------------------------------


class LongText(Part, frozen=True, kw_only=True):
    """All of a post whose `text` is cut."""

    full_text: str
    entities: Entities = Entities()
    extended_entities: Entities = Entities()


class Quoted(Part, frozen=True, kw_only=True):
    """The post that a post quotes."""

    text: str = ""
    full_text: str | None = None
    extended_tweet: LongText | None = None
    user: Profile = Profile()


class Post(Part, frozen=True, kw_only=True):
    """A post as the Account Activity API gives it."""

    id: Id | None = None
    id_str: str | None = None
    text: str = ""
    full_text: str | None = None
    created_at: str | None = None
    timestamp_ms: Id | None = None
    lang: str | None = None
    user: Profile = Profile()
    in_reply_to_status_id_str: str | None = None
    in_reply_to_user_id_str: str | None = None
    in_reply_to_screen_name: str | None = None
    retweeted_status: msgspec.Raw = NOTHING
    quoted_status_id_str: str | None = None
    quoted_status: Quoted | None = None
    entities: Entities = Entities()
    extended_entities: Entities = Entities()
    extended_tweet: LongText | None = None


class Reference(Part, frozen=True, kw_only=True):
    """What a post is about: ``replied_to``, ``quoted`` or ``retweeted`` another one."""

    type: str
    id: str


class Keys(Part, frozen=True, kw_only=True):
    """The media of a post, by key."""

    media_keys: tuple[str, ...] = ()


class PostV2(Part, frozen=True, kw_only=True):
    """A post as the X Activity API gives it."""

    id: str
    text: str = ""
    note_tweet: PostV2Text | None = None
    author_id: str
    created_at: datetime | None = None
    lang: str | None = None
    in_reply_to_user_id: str | None = None
    referenced_tweets: tuple[Reference, ...] = ()
    entities: Entities = Entities()
    attachments: Keys = Keys()


class PostV2Text(Part, frozen=True, kw_only=True):
    """All of a long post."""

    text: str
    entities: Entities = Entities()


class Includes(Part, frozen=True, kw_only=True):
    """What came along with an event of the X Activity API."""

    users: tuple[Profile, ...] = ()
    tweets: tuple[PostV2, ...] = ()
    media: tuple[MediaEntity, ...] = ()


# --- direct messages ------------------------------------------------------------------------------


class Target(Part, frozen=True, kw_only=True):
    """Whom a message is for."""

    recipient_id: str


class Coordinates(Part, frozen=True, kw_only=True):
    """A point: longitude, then latitude."""

    coordinates: tuple[float, float]


class SharedCoordinate(Part, frozen=True, kw_only=True):
    """A point that somebody shared."""

    coordinates: Coordinates


class Place(Part, frozen=True, kw_only=True):
    """A place that X knows."""

    name: str | None = None
    full_name: str | None = None
    centroid: tuple[float, float] | None = None


class SharedPlace(Part, frozen=True, kw_only=True):
    """A place that somebody shared."""

    place: Place = Place()


class Location(Part, frozen=True, kw_only=True):
    """Where somebody says they are."""

    type: str | None = None
    shared_coordinate: SharedCoordinate | None = None
    shared_place: SharedPlace | None = None


class Attachment(Part, frozen=True, kw_only=True):
    """What a message brings besides words: ``media`` or ``location``."""

    type: str | None = None
    media: MediaEntity | None = None
    location: Location | None = None


class QuickReply(Part, frozen=True, kw_only=True):
    """The option somebody chose."""

    metadata: str | None = None


class MessageData(Part, frozen=True, kw_only=True):
    """What a message says."""

    text: str = ""
    entities: Entities = Entities()
    attachment: Attachment | None = None
    quick_reply_response: QuickReply | None = None


class MessageCreate(Part, frozen=True, kw_only=True):
    """A direct message. https://developer.x.com/en/docs/x-api/v1/direct-messages/sending-and-receiving/guides/message-create-object"""

    target: Target
    sender_id: str
    message_data: MessageData = MessageData()


class InitiatedVia(Part, frozen=True, kw_only=True):
    """What the person came from."""

    tweet_id: Id | None = None
    welcome_message_id: Id | None = None


class DirectMessage(Part, frozen=True, kw_only=True):
    """An event of a conversation of two."""

    id: Id
    type: str = ""
    created_timestamp: Id | None = None
    initiated_via: InitiatedVia = InitiatedVia()
    message_create: MessageCreate | None = None


class MarkRead(Part, frozen=True, kw_only=True):
    """`sender_id` has read everything of `target` up to `last_read_event_id`."""

    sender_id: str
    target: Target
    last_read_event_id: Id
    created_timestamp: Id | None = None


class ChatMessage(Part, frozen=True, kw_only=True):
    """An encrypted message: who wrote, and nothing of what."""

    id: Id
    sender_id: str
    conversation_id: str = ""
    created_at_msec: Id | None = None


# --- requests -------------------------------------------------------------------------------------


class Filter(Part, frozen=True, kw_only=True):
    """Whose activity it is; what is about the app names nobody."""

    user_id: str | None = None


class Activity(Part, frozen=True, kw_only=True):
    """An event of the X Activity API."""

    event_type: str
    filter: Filter = Filter()
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    includes: Includes = Includes()


def id_of(*given: Id | None) -> str | None:
    """The first id there is, as text. Raises InvalidPayload for one that can be none."""
    for one in given:
        if one is not None and one != "":
            if len(text := str(one)) > MAX_ID:
                raise InvalidPayload("id", f"longer than {MAX_ID} characters")
            return text
    return None


def needed(found: str | None, path: str) -> str:
    """Raises InvalidPayload for an id that is not there."""
    if found is None:
        raise InvalidPayload(path, "expected an id")
    return found


def time_of(ms: Id | None, otherwise: datetime) -> datetime:
    """The time of milliseconds since the epoch, given as a number or as text."""
    if ms is None:
        return otherwise
    if isinstance(ms, str) and not (ms.isascii() and ms.isdigit() and len(ms) < 16):
        raise InvalidPayload("timestamp", "expected milliseconds since 1970")
    number = int(ms)
    if not 0 <= number <= _LAST_MS:
        raise InvalidPayload("timestamp", "not a time")
    return clock.from_ms(number)


def time_in(event_id: str) -> datetime | None:
    """When an id was made, None for one that does not tell."""
    if not (event_id.isascii() and event_id.isdigit() and len(event_id) < 20):
        return None
    return clock.from_ms((int(event_id) >> 22) + EPOCH_MS)


def posted_at(text: str) -> datetime:
    """``Wed Oct 10 20:19:24 +0000 2018``, whatever language the machine speaks."""
    words = text.split(" ")
    if len(words) != 6 or words[1] not in _MONTHS or words[4] != "+0000":
        raise InvalidPayload("created_at", "expected a time such as Wed Oct 10 20:19:24 +0000 2018")
    try:
        return datetime.fromisoformat(f"{words[5]:0>4}-{_MONTHS[words[1]]:02d}-{words[2]:0>2}T{words[3]}+00:00")
    except ValueError:
        raise InvalidPayload("created_at", "not a time") from None


def fields_of(body: bytes) -> dict[str, Any]:
    """The top level of a request, its values unread. Raises InvalidPayload."""
    return read(body, dict[str, msgspec.Raw])
