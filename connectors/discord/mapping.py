"""What Discord sends, in our words: events of the gateway here, interactions in `interactions`.

https://docs.discord.com/developers/events/gateway-events
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from connectors._shared.reading import LONGEST_NATIVE_TYPE, facts, read, threads_of
from connectors.discord.contents import said_by
from connectors.discord.interactions import map_interaction
from connectors.discord.payload import Cleared, Deleted, DeletedMany, Emoji, Frame, Located, Message, Reacted, User
from connectors.discord.people import nobody, party
from connectors.discord.snowflake import time_of
from omnibus import clock
from omnibus.channel import events
from omnibus.channel.events import AnyEvent, Deletion, Edit, Party, Reaction
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes, AutoSubmitted
from omnibus.model.content import System, Unsupported
from omnibus.model.entities import Quoted
from omnibus.model.raw import RawEvent

NOWHERE = "account"
"""The thread of events that belong to no channel."""
SESSION, BOT_ID = "session", "bot_id"
"""Attributes of a raw event of the gateway: numbers of events count within a session; who we are ourselves."""
IS_FORWARD = 1


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the gateway, and what every builder needs to know of its frame."""

    raw: RawEvent
    kind: str
    json: msgspec.Raw
    number: int | None

    @property
    def native_id(self) -> str | None:
        """For what has no id of its own; after a break Discord gives an event with the same number again."""
        session = self.raw.attributes.get(SESSION)
        return None if self.number is None or session is None else f"event:{session}:{self.number}"


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """Every event of the request or frame. Raises InvalidPayload."""
    if raw.transport != "socket":
        yield from map_interaction(raw.body, "$")
        return
    frame = read(raw.body, Frame)
    part = Part(raw=raw, kind=frame.t or f"op_{frame.op}", json=frame.d, number=frame.s)
    yield from BUILDERS.get(part.kind, unknown)(part)


def threads(raw: RawEvent) -> Sequence[str]:
    """The channel. Raises InvalidPayload."""
    return threads_of(map_event(raw))


# --- messages -----------------------------------------------------------------------------------


def message(part: Part) -> Iterator[AnyEvent]:
    sent = read(part.json, Message, "$.d")
    said = said_by(sent)
    yield events.Message(
        thread=sent.channel_id,
        at=time_of(sent.id),
        native_id=sent.id,
        sender=party(sent.author, sent.member),
        content=said.content,
        attachments=said.attachments,
        own=sent.author.id == part.raw.attributes.get(BOT_ID),
        in_reply_to=_answered_id(sent),
        quoted=_quoted(sent),
        auto_submitted=_auto_submitted(sent),
        attributes=_attributes(sent),
    )


def edited(part: Part) -> Iterator[AnyEvent]:
    """An edit. Discord also sends these when it has found a picture behind a link: then nobody has edited."""
    sent = read(part.json, Message, "$.d")
    if sent.edited_timestamp is None or sent.author.id == part.raw.attributes.get(BOT_ID):
        return
    at = _time(sent.edited_timestamp)
    said = said_by(sent)
    yield Edit(
        thread=sent.channel_id,
        at=at,
        native_id=part.native_id,
        target=sent.id,
        content=said.content,
        revision=clock.to_ms(at),
        sender=party(sent.author, sent.member),
        attachments=said.attachments,
    )


def deleted(part: Part) -> Iterator[AnyEvent]:
    """Discord says neither who nor when."""
    gone = read(part.json, Deleted, "$.d")
    yield _deletion(part, gone.channel_id, gone.id)


def deleted_many(part: Part) -> Iterator[AnyEvent]:
    gone = read(part.json, DeletedMany, "$.d")
    for target in gone.ids:
        yield _deletion(part, gone.channel_id, target)


def _deletion(part: Part, channel: str, target: str) -> AnyEvent:
    return Deletion(thread=channel, at=part.raw.received_at, native_id=f"deleted:{target}", target=target)


def _answered_id(sent: Message) -> str | None:
    reference = sent.message_reference
    return None if reference is None or reference.type == IS_FORWARD else reference.message_id


def _quoted(sent: Message) -> Quoted | None:
    answered = sent.referenced_message
    if answered is None:
        return None
    author = answered.author
    return Quoted(text=answered.content or None, author=(author.global_name or author.username) if author else None)


def _auto_submitted(sent: Message) -> AutoSubmitted:
    return "auto_generated" if sent.author.bot or sent.webhook_id else "no"


def _attributes(sent: Message) -> Attributes:
    """What Discord knows of a message and the model has no field for."""
    reference = sent.message_reference
    return facts(
        guild_id=sent.guild_id,
        mentions=" ".join(user.id for user in sent.mentions or ()),
        forwarded=True if reference is not None and reference.type == IS_FORWARD else None,
        stickers=", ".join(item.name for item in sent.sticker_items or ()),
    )


def _time(text: str) -> datetime:
    """https://docs.discord.com/developers/reference#iso8601-date-time"""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidPayload("$.d.edited_timestamp", "expected a time of ISO 8601") from None
    if not 2000 <= at.year <= 9000:
        raise InvalidPayload("$.d.edited_timestamp", "expected a time of our age")
    return clock.from_ms(clock.to_ms(at))


# --- reactions and the rest ---------------------------------------------------------------------


def reaction_added(part: Part) -> Iterator[AnyEvent]:
    yield _reaction(part, removed=False)


def reaction_removed(part: Part) -> Iterator[AnyEvent]:
    yield _reaction(part, removed=True)


def _reaction(part: Part, *, removed: bool) -> AnyEvent:
    """Discord does not say when."""
    reacted = read(part.json, Reacted, "$.d")
    user = reacted.member.user if reacted.member and reacted.member.user else User(id=reacted.user_id)
    return Reaction(
        thread=reacted.channel_id,
        at=part.raw.received_at,
        native_id=part.native_id,
        target=reacted.message_id,
        reaction=_emoji(reacted.emoji),
        removed=removed,
        sender=party(user, reacted.member),
    )


def _emoji(emoji: Emoji) -> str:
    """The character, or ``:name:`` for a picture of a server's own."""
    return f":{emoji.name or emoji.id}:" if emoji.id else emoji.name or "?"


def reactions_cleared(part: Part) -> Iterator[AnyEvent]:
    """A moderator took reactions away, of everybody at once."""
    cleared = read(part.json, Cleared, "$.d")
    params = facts(reaction=_emoji(cleared.emoji) if cleared.emoji else None)
    yield events.Message(
        thread=cleared.channel_id,
        at=part.raw.received_at,
        native_id=part.native_id,
        sender=nobody(cleared.channel_id),
        content=System(code="reactions_cleared", params=params),
        in_reply_to=cleared.message_id,
    )


def interaction(part: Part) -> Iterator[AnyEvent]:
    """Interactions come here when the application has no address for them."""
    yield from map_interaction(bytes(part.json), "$.d")


def unknown(part: Part) -> Iterator[AnyEvent]:
    """An event of a kind we do not map: never dropped, in its channel when it has one."""
    try:
        located = read(part.json, Located, "$.d")
    except InvalidPayload:
        located = Located()
    sender: Party = nobody(NOWHERE) if located.user_id is None else party(User(id=located.user_id))
    yield events.Message(
        thread=located.channel_id or NOWHERE,
        at=part.raw.received_at,
        native_id=part.native_id,
        sender=sender,
        content=Unsupported(native_type=part.kind[:LONGEST_NATIVE_TYPE]),
    )


BUILDERS: Mapping[str, Callable[[Part], Iterator[AnyEvent]]] = {
    "MESSAGE_CREATE": message,
    "MESSAGE_UPDATE": edited,
    "MESSAGE_DELETE": deleted,
    "MESSAGE_DELETE_BULK": deleted_many,
    "MESSAGE_REACTION_ADD": reaction_added,
    "MESSAGE_REACTION_REMOVE": reaction_removed,
    "MESSAGE_REACTION_REMOVE_ALL": reactions_cleared,
    "MESSAGE_REACTION_REMOVE_EMOJI": reactions_cleared,
    "INTERACTION_CREATE": interaction,
}
