"""Which calls of the Bot API say a message: pure, so that what is sent can be read without sending it.

Limits: https://core.telegram.org/bots/api#sendmessage (4,096 characters), #sendphoto and the others (captions of
1,024), https://core.telegram.org/bots/api#sending-files (photos 10 MB, other files 50 MB),
https://core.telegram.org/bots/api#inlinekeyboardbutton (callback data of 64 bytes).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors._shared.words import pieces, plain, units
from connectors.telegram.place import Place
from omnibus.errors import Refused
from omnibus.model import content as model
from omnibus.model.content import Attachment, Content, Location, Option
from omnibus.model.entities import Message

MAX_TEXT = 4_096
MAX_CAPTION = 1_024
MAX_CALLBACK_BYTES = 64
MAX_BUTTONS = 100
MAX_PHOTO_BYTES = 10_000_000
MAX_FILE_BYTES = 50_000_000


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call: `file` is sent as the parameter `field`."""

    method: str
    params: dict[str, object]
    field: str | None = None
    file: Attachment | None = None


def calls_for(message: Message, place: Place) -> Sequence[Call]:
    """The calls that say `message` in `place`, in order. Raises Refused for what Telegram cannot take."""
    said = _said(message)
    if not said:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    first = msgspec.structs.replace(said[0], params={**said[0].params, **_answered(message, place)})
    return [_addressed(call, place) for call in (first, *said[1:])]


def _said(message: Message) -> list[Call]:
    content = message.content
    match content:
        case model.Media():
            named = _named(message, content.attachment_id)
            others = [attachment for attachment in message.attachments if attachment.id != named.id]
            return [*_media(content, named), *(_file_call(other) for other in others)]
        case model.Text():
            calls = _texts(plain(content))
        case model.Choices():
            calls = _choices(content)
        case Location():
            calls = [_location(content)]
        case _:
            raise Refused("UNSUPPORTED_OPERATION", f"Telegram cannot show {_kind(content)!r}")
    return [*calls, *(_file_call(attachment) for attachment in message.attachments)]


def _kind(content: Content) -> str:
    return str(content.__struct_config__.tag)


def _addressed(call: Call, place: Place) -> Call:
    where: dict[str, object] = {"chat_id": place.chat_id}
    if place.topic_id is not None:
        where["message_thread_id"] = place.topic_id
    if place.direct_topic_id is not None:
        where["direct_messages_topic_id"] = place.direct_topic_id
    if place.business is not None:
        where["business_connection_id"] = place.business
    return msgspec.structs.replace(call, params={**where, **call.params})


def _answered(message: Message, place: Place) -> dict[str, object]:
    """What the message answers; an answer to something that is gone is still sent."""
    native_id = message.in_reply_to.native_id if message.in_reply_to else None
    number = place.message_id(native_id) if native_id else None
    if number is None:
        return {}
    return {"reply_parameters": {"message_id": number, "allow_sending_without_reply": True}}


# --- words --------------------------------------------------------------------------------------


def _texts(text: str) -> list[Call]:
    """A text, in as many messages as it needs; none when it is empty."""
    return [Call(method="sendMessage", params={"text": piece}) for piece in pieces(text, MAX_TEXT)]


def _choices(content: model.Choices) -> list[Call]:
    """The question with a button for each option, below the last piece."""
    calls = _texts(content.text)
    if not calls:
        raise Refused("UNSUPPORTED_OPERATION", "a question needs words")
    if len(content.options) > MAX_BUTTONS:
        raise Refused("UNSUPPORTED_OPERATION", f"more than {MAX_BUTTONS} options")
    keyboard = {"inline_keyboard": [[_button(option)] for option in content.options]}
    return [*calls[:-1], msgspec.structs.replace(calls[-1], params={**calls[-1].params, "reply_markup": keyboard})]


def _button(option: Option) -> dict[str, str]:
    if option.url is not None:
        return {"text": option.title, "url": option.url}
    if not 1 <= len(option.id.encode()) <= MAX_CALLBACK_BYTES:
        raise Refused("UNSUPPORTED_OPERATION", f"the id of an option must have 1 to {MAX_CALLBACK_BYTES} bytes")
    return {"text": option.title, "callback_data": option.id}


def _location(content: Location) -> Call:
    spot: dict[str, object] = {"latitude": content.lat, "longitude": content.lon}
    if content.name is None:
        return Call(method="sendLocation", params=spot)
    return Call(method="sendVenue", params={**spot, "title": content.name, "address": content.address or content.name})


# --- files --------------------------------------------------------------------------------------


def _named(message: Message, attachment_id: str) -> Attachment:
    for attachment in message.attachments:
        if attachment.id == attachment_id:
            return attachment
    raise Refused("MEDIA_NOT_REACHABLE", "the message names an attachment that it does not have")


def _media(content: model.Media, attachment: Attachment) -> list[Call]:
    """The file with its caption; one too long for a caption follows as a message of its own."""
    call = _file_call(attachment, content)
    caption = content.caption or ""
    if call.method == "sendSticker" or units(caption) > MAX_CAPTION:
        return [call, *_texts(caption)]
    if not caption:
        return [call]
    return [msgspec.structs.replace(call, params={**call.params, "caption": caption})]


def _file_call(attachment: Attachment, content: model.Media | None = None) -> Call:
    method, field = _way_of(attachment, content)
    ref = attachment.ref
    if ref is None or attachment.state in ("expired", "blocked", "too_large"):
        raise Refused("MEDIA_NOT_REACHABLE", "the bytes of an attachment are not there")
    if (attachment.size or 0) > MAX_FILE_BYTES:
        raise Refused("MEDIA_TOO_LARGE", f"Telegram takes files of at most {MAX_FILE_BYTES} bytes")
    if ref.scheme == "object":
        return Call(method=method, params={}, field=field, file=attachment)
    return Call(method=method, params={field: ref.uri})


def _way_of(attachment: Attachment, content: model.Media | None) -> tuple[str, str]:
    """The method and parameter that show a file of this kind; anything else goes as a document."""
    mime = attachment.mime.partition(";")[0].strip().lower()
    if isinstance(content, model.File):
        return "sendDocument", "document"
    if isinstance(content, model.Sticker) and mime in ("image/webp", "application/x-tgsticker", "video/webm"):
        return "sendSticker", "sticker"
    if isinstance(content, model.Audio) and content.voice_note and mime in ("audio/ogg", "audio/mpeg", "audio/mp4"):
        return "sendVoice", "voice"
    if mime == "image/gif":
        return "sendAnimation", "animation"
    if mime in ("image/jpeg", "image/png", "image/webp") and (attachment.size or 0) <= MAX_PHOTO_BYTES:
        return "sendPhoto", "photo"
    if mime in ("audio/mpeg", "audio/mp4", "audio/x-m4a"):
        return "sendAudio", "audio"
    return ("sendVideo", "video") if mime == "video/mp4" else ("sendDocument", "document")
