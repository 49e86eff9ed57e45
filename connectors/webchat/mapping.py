"""Web chat frames in our words. Pure: what a frame says, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors._shared.live.contents import answered_by, content_of, deliveries, media_of, native_id
from connectors._shared.live.frames import Choice, Postback, Receipt, Said, Say, UnknownFrame
from connectors.webchat.envelope import Envelope, read_envelope
from omnibus.channel.events import AnyEvent, Message, Party
from omnibus.errors import InvalidPayload
from omnibus.model.base import Attributes
from omnibus.model.raw import RawEvent


def threads(raw: RawEvent) -> Sequence[str]:
    """The one thread of a frame. Raises InvalidPayload."""
    return [read_envelope(raw).thread]


def map_event(raw: RawEvent) -> Iterator[AnyEvent]:
    """The events of a frame. Raises InvalidPayload for what is none, or never should have been stored."""
    envelope = read_envelope(raw)
    match envelope.client_frame():
        case Receipt() as receipt:
            yield from deliveries(raw, envelope.thread, receipt)
        case (Say() | Choice() | Postback() | UnknownFrame()) as frame:
            yield message(raw, envelope, frame)
        case other:
            raise InvalidPayload("frame.type", f"a frame that is not stored: {type(other).__name__}")


def message(raw: RawEvent, envelope: Envelope, frame: Said) -> Message:
    """What the visitor wrote, pressed or sent."""
    return Message(
        thread=envelope.thread,
        at=raw.received_at,
        native_id=native_id(envelope.thread, frame.id),
        sender=sender(envelope),
        content=content_of(frame),
        attachments=media_of(frame),
        in_reply_to=answered_by(frame),
        attributes=attributes(envelope),
    )


def sender(envelope: Envelope) -> Party:
    """A user the site vouches for, or a browser whose cookie we signed."""
    if envelope.user is not None:
        return Party(
            scheme="app_user",
            value=envelope.user,
            display_name=envelope.name,
            locale=envelope.locale,
            verified="hmac",
        )
    return Party(
        scheme="cookie",
        value=envelope.visitor,
        display_name=envelope.name,
        locale=envelope.locale,
        verified="channel",
    )


def attributes(envelope: Envelope) -> Attributes:
    """The page the visitor is on, and an address they (or the page) gave: said, not proven."""
    said = {"page": envelope.page, "email_unverified": envelope.email}
    return {name: value for name, value in said.items() if value}
