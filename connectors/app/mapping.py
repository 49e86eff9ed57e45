"""Frames of an app in our words. Pure: what a frame says, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors._shared.live.contents import answered_by, content_of, deliveries, media_of, native_id
from connectors._shared.live.frames import Choice, Place, Postback, Receipt, Said, Say, UnknownFrame
from connectors.app.envelope import Envelope, read_envelope
from connectors.app.protocol import Written
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
    match envelope.device_frame():
        case Receipt() as receipt:
            yield from deliveries(raw, envelope.thread, receipt)
        case (Say() | Choice() | Postback() | Place() | UnknownFrame()) as frame:
            yield message(raw, envelope, frame)
        case other:
            raise InvalidPayload("frame.type", f"a frame that is not stored: {type(other).__name__}")


def message(raw: RawEvent, envelope: Envelope, frame: Said) -> Message:
    """What the person wrote, pressed, showed or sent. `at` is our clock: a device's may say anything."""
    return Message(
        thread=envelope.thread,
        at=raw.received_at,
        native_id=native_id(envelope.thread, frame.id),
        sender=sender(envelope),
        content=content_of(frame),
        attachments=media_of(frame),
        in_reply_to=answered_by(frame),
        attributes=attributes(envelope, frame),
    )


def sender(envelope: Envelope) -> Party:
    """A user for whom the company's server vouches."""
    return Party(
        scheme="app_user",
        value=envelope.user,
        display_name=envelope.name,
        locale=envelope.locale,
        verified=envelope.verified,
    )


def attributes(envelope: Envelope, frame: Said) -> Attributes:
    """The device, the time by its clock, and the address: proven when it was in a token, said when it was not."""
    written_at = frame.written_at if isinstance(frame, Written) else None
    facts = {
        "device": envelope.device,
        "platform": envelope.platform,
        "app_version": envelope.app_version,
        "email" if envelope.verified == "jwt" else "email_unverified": envelope.email,
        "written_at": None if written_at is None else written_at.isoformat(timespec="milliseconds"),
    }
    return {name: value for name, value in facts.items() if value}
