"""Which message objects say a message: pure, so that what is sent can be read without sending it.

https://developers.line.biz/en/reference/messaging-api/#message-objects: text of 5,000 units of UTF-16, pictures JPEG or
PNG; a preview of at most 1 MB is needed, and we have only the picture itself. Videos need a preview picture and sounds
their length, neither of which we know, and LINE takes no other files: those go as links.
https://developers.line.biz/en/reference/messaging-api/#quick-reply: 13 actions, labels of 20 characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors._shared.files import files_of, mime_of, safe_name
from connectors._shared.words import pieces, plain, shortened
from connectors.line.choices import data_of
from omnibus.errors import Refused
from omnibus.model.content import Attachment, Choices, Location, Media, Option, Text
from omnibus.model.entities import Message

MAX_TEXT = 5_000
MAX_PICTURE_BYTES = 1_000_000
MAX_URL = 2_000
MAX_OPTIONS = 13
MAX_LABEL = 20
MAX_PLACE = 100
MOST_IN_ONE_CALL = 5
"""https://developers.line.biz/en/reference/messaging-api/#send-push-message"""

MessageObject = dict[str, object]


def objects_for(message: Message, urls: Mapping[str, str], quote_token: str | None) -> Sequence[MessageObject]:
    """The message objects, in order; `urls` are those of the attachments, by their ids. Raises Refused."""
    files = [_file(attachment, urls[attachment.id]) for attachment in files_of(message)]
    objects = [*files, *_words(message)] if isinstance(message.content, Media) else [*_words(message), *files]
    if not objects:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    if quote_token is not None and objects[0]["type"] == "text":
        objects[0] = {**objects[0], "quoteToken": quote_token}
    return objects


def _words(message: Message) -> list[MessageObject]:
    match message.content:
        case Text() as content:
            return _texts(plain(content))
        case Choices() as content:
            return _choices(content)
        case Media() as content:
            return _texts(content.caption or "")
        case Location() as content:
            return [_location(content)]
        case content:
            raise Refused("UNSUPPORTED_OPERATION", f"LINE cannot show {content.__struct_config__.tag!r}")


def _texts(text: str) -> list[MessageObject]:
    return [{"type": "text", "text": piece} for piece in pieces(text, MAX_TEXT)]


def _choices(content: Choices) -> list[MessageObject]:
    """The question with a quick reply for each option, below the last piece."""
    objects = _texts(content.text)
    if not objects:
        raise Refused("UNSUPPORTED_OPERATION", "a question needs words")
    if not 1 <= len(content.options) <= MAX_OPTIONS:
        raise Refused("UNSUPPORTED_OPERATION", f"LINE shows 1 to {MAX_OPTIONS} options")
    items = [{"type": "action", "action": _action(option)} for option in content.options]
    return [*objects[:-1], {**objects[-1], "quickReply": {"items": items}}]


def _action(option: Option) -> dict[str, object]:
    label = shortened(option.title, MAX_LABEL)
    if option.url is not None:
        return {"type": "uri", "label": label, "uri": option.url}
    shown = shortened(option.title, 300)
    return {"type": "postback", "label": label, "data": data_of(option), "displayText": shown}


def _location(content: Location) -> MessageObject:
    """LINE wants a title and an address: without any, the coordinates are both."""
    spot = f"{content.lat}, {content.lon}"
    title, address = content.name or content.address or spot, content.address or content.name or spot
    return {
        "type": "location",
        "title": shortened(title, MAX_PLACE),
        "address": shortened(address, MAX_PLACE),
        "latitude": content.lat,
        "longitude": content.lon,
    }


def _file(attachment: Attachment, url: str) -> MessageObject:
    if mime_of(attachment) in ("image/jpeg", "image/png") and _is_small(attachment) and len(url) <= MAX_URL:
        return {"type": "image", "originalContentUrl": url, "previewImageUrl": url}
    return {"type": "text", "text": f"{safe_name(attachment)}\n{url}"}


def _is_small(attachment: Attachment) -> bool:
    return attachment.size is not None and attachment.size <= MAX_PICTURE_BYTES
