"""LINE's webhook events in our words; a request holds several, of several chats.

https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from connectors._shared.reading import LONGEST_NATIVE_TYPE, at_ms, facts, read, threads_of
from connectors.line.choices import chosen
from connectors.line.contents import said_by
from connectors.line.payload import (
    AccountLinkEvent,
    BeaconEvent,
    Callback,
    Event,
    FollowEvent,
    MembersEvent,
    MembershipEvent,
    Message,
    MessageEvent,
    PostbackEvent,
    Source,
    UnsendEvent,
    WatchedEvent,
)
from omnibus.channel import events
from omnibus.channel.events import AnyEvent, Deletion, Party
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes
from omnibus.model.content import Content, System, Unsupported
from omnibus.model.raw import RawEvent

NOWHERE = "account"
"""The thread of events that belong to no chat."""
REPLY_TOKEN = "reply_token"  # noqa: S105 - the attribute's name, not its value
QUOTE_TOKEN = "quote_token"  # noqa: S105 - the attribute's name, not its value
"""Attributes of a message that the sender gives back to LINE."""


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """Every event of the request. One that cannot be read takes none of the others with it. Raises InvalidPayload."""
    for index, json in enumerate(read(raw.body, Callback).events):
        path = f"$.events[{index}]"
        event = read(json, Event, path)
        try:
            # Built as a whole before any of it goes out: of an event that breaks half-way nothing may be there twice.
            built = list(BUILDERS.get(event.type, unknown)(bytes(json), path))
        except InvalidPayload:
            built = list(unknown(bytes(json), path))
        yield from built


def threads(raw: RawEvent) -> Sequence[str]:
    """The chats in a request. Raises InvalidPayload."""
    return threads_of(map_event(raw))


# --- messages -----------------------------------------------------------------------------------


def message(json: bytes, path: str) -> Iterator[AnyEvent]:
    event = read(json, MessageEvent, path)
    sent = event.message
    said = said_by(sent)
    yield events.Message(
        thread=_thread(event.source),
        at=at_ms(event.timestamp),
        native_id=sent.id,
        sender=_sender(event.source),
        content=said.content,
        attachments=said.attachments,
        in_reply_to=sent.quoted_message_id,
        attributes=_attributes(event, sent),
    )


def unsend(json: bytes, path: str) -> Iterator[AnyEvent]:
    event = read(json, UnsendEvent, path)
    yield Deletion(
        thread=_thread(event.source),
        at=at_ms(event.timestamp),
        native_id=event.webhook_event_id,
        target=event.unsend.message_id,
        sender=_sender(event.source),
    )


def postback(json: bytes, path: str) -> Iterator[AnyEvent]:
    """A button, a quick reply, a date picker, the rich menu."""
    event = read(json, PostbackEvent, path)
    given = list((event.postback.params or {}).items())[:5]
    params: Attributes = {f"postback_{name[:40]}": value for name, value in given}
    yield _told(event, chosen(event.postback.data), params)


def _attributes(event: Event, sent: Message) -> Attributes:
    """What LINE knows of a message and the model has no field for."""
    people = [each.user_id for each in sent.mention.mentionees if each.user_id] if sent.mention else []
    image_set = sent.image_set
    return {
        **_tokens(event),
        **facts(
            quote_token=sent.quote_token,
            mentions=" ".join(people),
            image_set_id=image_set.id if image_set else None,
            image_set_index=image_set.index if image_set else None,
            image_set_total=image_set.total if image_set else None,
            sticker_package_id=sent.package_id,
            sticker_id=sent.sticker_id,
        ),
    }


def _tokens(event: Event) -> Attributes:
    """`standby`: another program answers this chat now, so ours must not."""
    return facts(
        reply_token=event.reply_token,
        mode=None if event.mode == "active" else event.mode,
        redelivered=event.delivery_context.is_redelivery or None,
    )


# --- what happens around messages ---------------------------------------------------------------


def follow(json: bytes, path: str) -> Iterator[AnyEvent]:
    event = read(json, FollowEvent, path)
    yield _told(event, System(code="unblocked" if event.follow.is_unblocked else "followed"))


def unfollow(json: bytes, path: str) -> Iterator[AnyEvent]:
    """The user has blocked the account."""
    yield _told(read(json, Event, path), System(code="unfollowed"))


def join(json: bytes, path: str) -> Iterator[AnyEvent]:
    yield _told(read(json, Event, path), System(code="bot_added"))


def leave(json: bytes, path: str) -> Iterator[AnyEvent]:
    yield _told(read(json, Event, path), System(code="bot_removed"))


def member_joined(json: bytes, path: str) -> Iterator[AnyEvent]:
    event = read(json, MembersEvent, path)
    yield _told(event, System(code="member_joined", params=_people(event.joined.members)))


def member_left(json: bytes, path: str) -> Iterator[AnyEvent]:
    event = read(json, MembersEvent, path)
    yield _told(event, System(code="member_left", params=_people(event.left.members)))


def video_watched(json: bytes, path: str) -> Iterator[AnyEvent]:
    event = read(json, WatchedEvent, path)
    yield _told(event, System(code="video_watched", params=facts(tracking_id=event.video_play_complete.tracking_id)))


def beacon(json: bytes, path: str) -> Iterator[AnyEvent]:
    event = read(json, BeaconEvent, path)
    found = event.beacon
    yield _told(event, System(code="beacon", params=facts(hwid=found.hwid, what=found.type, device_message=found.dm)))


def account_linked(json: bytes, path: str) -> Iterator[AnyEvent]:
    event = read(json, AccountLinkEvent, path)
    params = facts(result=event.link.result, nonce=event.link.nonce)
    yield _told(event, System(code="account_linked", params=params))


def membership(json: bytes, path: str) -> Iterator[AnyEvent]:
    event = read(json, MembershipEvent, path)
    found = event.membership
    code = f"membership_{found.type}"[:LONGEST_NATIVE_TYPE]
    yield _told(event, System(code=code, params=facts(membership_id=found.membership_id)))


def unknown(json: bytes, path: str) -> Iterator[AnyEvent]:
    """An event that we cannot read, or of a kind we do not map: never dropped, in its chat when it has one."""
    event = read(json, Event, path)
    yield _told(event, Unsupported(native_type=event.type[:LONGEST_NATIVE_TYPE]))


def _told(event: Event, content: Content, attributes: Attributes | None = None) -> AnyEvent:
    return events.Message(
        thread=_thread(event.source),
        at=at_ms(event.timestamp),
        native_id=event.webhook_event_id,
        sender=_sender(event.source),
        content=content,
        attributes={**_tokens(event), **facts(**(attributes or {}))},
    )


def _people(members: Sequence[Source]) -> Attributes:
    return facts(user_ids=",".join(each.user_id for each in members if each.user_id))


def _thread(source: Source | None) -> str:
    """The group, the room, or the user: LINE tells them apart by the first letter of the id."""
    if source is None:
        return NOWHERE
    return source.group_id or source.room_id or source.user_id or NOWHERE


def _sender(source: Source | None) -> Party:
    """User ids are the same for all accounts of one provider."""
    if source is not None and source.user_id:
        return Party(scheme="line_user", value=source.user_id, verified="channel")
    return Party(scheme="line_chat", value=_thread(source), verified="channel")


BUILDERS: Mapping[str, Callable[[bytes, str], Iterator[AnyEvent]]] = {
    "message": message,
    "unsend": unsend,
    "postback": postback,
    "follow": follow,
    "unfollow": unfollow,
    "join": join,
    "leave": leave,
    "memberJoined": member_joined,
    "memberLeft": member_left,
    "videoPlayComplete": video_watched,
    "beacon": beacon,
    "accountLink": account_linked,
    "membership": membership,
}
