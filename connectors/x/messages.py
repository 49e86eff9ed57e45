"""Direct messages in our words."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from connectors._shared.reading import read
from connectors.x.payloads import (
    Attachment,
    ChatMessage,
    DirectMessage,
    Id,
    Location,
    MarkRead,
    MediaEntity,
    MessageCreate,
    MessageData,
    Raws,
    id_of,
    needed,
    time_in,
    time_of,
)
from connectors.x.said import Told, alt_text_of, caption_kind, files_of, words_of
from omnibus.channel import events
from omnibus.channel.events import AnyEvent, Delivery, Media
from omnibus.errors import InvalidPayload
from omnibus.model import content as c
from omnibus.model.entities import Referral

DM = "dm:"
"""Threads of direct messages: this, and the id of the other one."""


def direct_messages(told: Told, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """``direct_message_events``: what others wrote, and what our side wrote elsewhere."""
    for place, one in enumerate(read(json, Raws, "direct_message_events")):
        event = read(one, DirectMessage, f"direct_message_events[{place}]")
        if event.message_create is None:
            raise InvalidPayload(f"direct_message_events[{place}]", f"expected message_create, got {event.type[:40]!r}")
        yield _message(told, event, event.message_create)


def _message(told: Told, event: DirectMessage, created: MessageCreate) -> AnyEvent:
    ours = created.sender_id == told.us
    other = needed(id_of(created.target.recipient_id if ours else created.sender_id), "sender_id")
    content, files = said_in(created.message_data)
    return events.Message(
        thread=f"{DM}{other}",
        at=time_of(event.created_timestamp, told.at),
        native_id=needed(id_of(event.id), "id"),
        sender=told.party(created.sender_id),
        content=content,
        attachments=files,
        direction="outbound" if ours else "inbound",
        participants=(told.party(other),) if ours else (),
        referral=_referral(event),
    )


def said_in(data: MessageData) -> tuple[c.Content, tuple[Media, ...]]:
    """What the message says, and its files."""
    attachment = data.attachment
    media = attachment.media if attachment is not None else None
    text = words_of(data.text, data.entities, () if media is None else (media,))
    if data.quick_reply_response is not None and data.quick_reply_response.metadata:
        return c.ChoiceResponse(option_id=data.quick_reply_response.metadata, title=text or None), ()
    if media is not None:
        return _file(media, text)
    if attachment is not None:
        return _attached(attachment, text), ()
    return c.Text(text=text), ()


def _file(media: MediaEntity, caption: str) -> tuple[c.Content, tuple[Media, ...]]:
    files = files_of((media,))
    if not files:
        return c.Unsupported(native_type=f"media:{media.type or ''}"[:100], summary=caption or None), ()
    kind = caption_kind(media)
    return kind(attachment_id="0", caption=caption or None, alt_text=alt_text_of(media)), files


def _attached(attachment: Attachment, text: str) -> c.Content:
    spot = None if attachment.location is None else _spot(attachment.location, text)
    if spot is not None:
        return spot
    return c.Unsupported(native_type=(attachment.type or "attachment")[:100], summary=text or None)


def _spot(location: Location, text: str) -> c.Location | None:
    """X gives longitude first. A place whose middle is not told cannot be shown on a map."""
    if location.shared_coordinate is not None:
        lon, lat = location.shared_coordinate.coordinates.coordinates
        return c.Location(lat=lat, lon=lon, name=text or None)
    place = None if location.shared_place is None else location.shared_place.place
    if place is None or place.centroid is None:
        return None
    lon, lat = place.centroid
    return c.Location(lat=lat, lon=lon, name=place.full_name or place.name or text or None)


def _referral(event: DirectMessage) -> Referral | None:
    """The post with a button, or the greeting, that the person came from."""
    via = event.initiated_via
    for kind, found in (("post", via.tweet_id), ("welcome_message", via.welcome_message_id)):
        if (code := id_of(found)) is not None:
            return Referral(source="x", type=kind, code=code)
    return None


def read_marks(told: Told, json: msgspec.Raw) -> Iterator[AnyEvent]:
    """``direct_message_mark_read_events``: everything of ours up to an event was read."""
    for place, mark in enumerate(read(json, tuple[MarkRead, ...], "direct_message_mark_read_events")):
        if mark.sender_id == told.us:
            continue  # our side read what the other one wrote
        last = needed(id_of(mark.last_read_event_id), f"direct_message_mark_read_events[{place}].last_read_event_id")
        at = time_of(mark.created_timestamp, told.at)
        yield Delivery(
            thread=f"{DM}{needed(id_of(mark.sender_id), 'sender_id')}",
            at=at,
            native_id=f"read:{last}",
            status="read",
            recipient=mark.sender_id,
            up_to=time_in(last) or at,
        )


def encrypted(told: Told, json: msgspec.Raw, kind: str) -> Iterator[AnyEvent]:
    """``chat.received``: somebody wrote in an encrypted conversation, which only the apps of X can read."""
    message = read(json, ChatMessage, "data.payload")
    if message.sender_id == told.us:
        return
    sender = needed(id_of(message.sender_id), "data.payload.sender_id")
    yield events.Message(
        thread=f"{DM}{sender}",
        at=time_of(message.created_at_msec, told.at),
        native_id=_chat_id(message.id),
        sender=told.party(sender),
        content=c.Unsupported(native_type=kind),
    )


def _chat_id(given: Id) -> str:
    return f"chat:{needed(id_of(given), 'data.payload.id')}"
