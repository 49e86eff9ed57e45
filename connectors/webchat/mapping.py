"""Web chat frames in our words. Pure: what a frame says, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.webchat.envelope import Envelope, read_envelope
from connectors.webchat.protocol import (
    Choice,
    Postback,
    Receipt,
    Say,
    StoredFrame,
    UnknownFrame,
    UploadedFile,
)
from omnibus.channel.events import AnyEvent, Delivery, Media, Message, Party
from omnibus.errors import InvalidPayload
from omnibus.model import content as c
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
            yield from deliveries(raw, envelope, receipt)
        case (Say() | Choice() | Postback() | UnknownFrame()) as frame:
            yield message(raw, envelope, frame)
        case other:
            raise InvalidPayload("frame.type", f"a frame that is not stored: {type(other).__name__}")


def message(raw: RawEvent, envelope: Envelope, frame: StoredFrame | UnknownFrame) -> Message:
    """What the visitor wrote, pressed or sent."""
    assert not isinstance(frame, Receipt)
    return Message(
        thread=envelope.thread,
        at=raw.received_at,
        native_id=native_id(envelope, frame.id),
        sender=sender(envelope),
        content=content_of(frame),
        attachments=tuple(media(file) for file in frame.files) if isinstance(frame, Say) else (),
        in_reply_to=None if isinstance(frame, (Postback, UnknownFrame)) else frame.in_reply_to,
        attributes=attributes(envelope),
    )


def native_id(envelope: Envelope, frame_id: str) -> str:
    """Browsers make the ids of frames, so one of them must not be able to name another's message."""
    return f"{envelope.thread}/{frame_id}"


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


def content_of(frame: Say | Choice | Postback | UnknownFrame) -> c.Content:
    """The content of a frame."""
    match frame:
        case Say(files=()):
            return text_of(frame)
        case Say():
            return file_content(frame)
        case Choice():
            return c.ChoiceResponse(option_id=frame.option_id, title=frame.title or None)
        case Postback():
            return c.Postback(payload=frame.payload, title=frame.title or None)
        case UnknownFrame():
            return c.Unsupported(native_type=frame.type)


def text_of(frame: Say) -> c.Text:
    """Raises InvalidPayload for a message without words or files, which the receiver never stores."""
    if not frame.text.strip():
        raise InvalidPayload("frame.text", "expected words or files")
    return c.Text(text=frame.text)


def file_content(frame: Say) -> c.Content:
    """The kind of the first file decides; the words are its caption."""
    caption = frame.text or None
    match frame.files[0].mime.partition("/")[0]:
        case "image":
            return c.Image(attachment_id="0", caption=caption)
        case "audio":
            return c.Audio(attachment_id="0", caption=caption)
        case "video":
            return c.Video(attachment_id="0", caption=caption)
        case _:
            return c.File(attachment_id="0", caption=caption)


def media(file: UploadedFile) -> Media:
    """The bytes are in the blob store already."""
    return Media(
        mime=file.mime, ref=c.AttachmentRef(scheme="object", uri=file.uri), file_name=file.name, size=file.size
    )


def attributes(envelope: Envelope) -> Attributes:
    """The page the visitor is on, and an address they (or the page) gave: said, not proven."""
    said = {"page": envelope.page, "email_unverified": envelope.email}
    return {name: value for name, value in said.items() if value}


def deliveries(raw: RawEvent, envelope: Envelope, receipt: Receipt) -> Iterator[Delivery]:
    """One report for each entry; our message id is its native id here."""
    for target in dict.fromkeys(receipt.ids):
        yield Delivery(
            thread=envelope.thread,
            at=raw.received_at,
            native_id=f"{envelope.thread}/{target}/{receipt.status}",
            target=target,
            status=receipt.status,
        )
