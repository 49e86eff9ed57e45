"""What frames say, in our words; for mappings. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from connectors._shared.live.frames import Choice, Place, Postback, Receipt, Said, Say, UnknownFrame, UploadedFile
from omnibus.channel.events import Delivery, Media
from omnibus.errors import InvalidPayload
from omnibus.model import content as c
from omnibus.model.raw import RawEvent


def native_id(thread: str, frame_id: str) -> str:
    """Clients make the ids of frames, so one of them must not be able to name another's message."""
    return f"{thread}/{frame_id}"


def content_of(frame: Said) -> c.Content:
    """The content of a frame. Raises InvalidPayload for a message without words or files, which is never stored."""
    match frame:
        case Say(files=()):
            return _text_of(frame)
        case Say():
            return _file_content(frame)
        case Choice():
            return c.ChoiceResponse(option_id=frame.option_id, title=frame.title or None)
        case Postback():
            return c.Postback(payload=frame.payload, title=frame.title or None)
        case Place():
            return c.Location(lat=frame.lat, lon=frame.lon, name=frame.name or None, address=frame.address or None)
        case UnknownFrame():
            return c.Unsupported(native_type=frame.type)


def media_of(frame: Said) -> tuple[Media, ...]:
    """The files of a frame, in its order."""
    return tuple(_media(file) for file in frame.files) if isinstance(frame, Say) else ()


def answered_by(frame: Said) -> str | None:
    """The native id of what a frame answers."""
    return frame.in_reply_to if isinstance(frame, (Say, Choice, Place)) else None


def deliveries(raw: RawEvent, thread: str, receipt: Receipt) -> Iterator[Delivery]:
    """One report for each entry; our message id is its native id here."""
    for target in dict.fromkeys(receipt.ids):
        yield Delivery(
            thread=thread,
            at=raw.received_at,
            native_id=f"{thread}/{target}/{receipt.status}",
            target=target,
            status=receipt.status,
        )


def _text_of(frame: Say) -> c.Text:
    if not frame.text.strip():
        raise InvalidPayload("frame.text", "expected words or files")
    return c.Text(text=frame.text)


def _file_content(frame: Say) -> c.Content:
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


def _media(file: UploadedFile) -> Media:
    """The bytes are in the blob store already."""
    return Media(
        mime=file.mime, ref=c.AttachmentRef(scheme="object", uri=file.uri), file_name=file.name, size=file.size
    )
