"""Which calls of send_message say a message: pure, so that what is sent can be read without sending it.

https://developers.viber.com/docs/api/rest-bot-api/#message-types: text of 7,000 characters, pictures (JPEG, PNG, GIF
that does not move) of 1 MB, videos (MP4) of 26 MB and other files of 50 MB with their sizes, addresses of 2,000
characters;
https://developers.viber.com/docs/faq/: keyboards of 12 rows.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from connectors._shared.files import files_of, mime_of, safe_name
from connectors._shared.words import pieces, plain, shortened, units
from connectors.viber.choices import tracking_of
from omnibus.errors import Refused
from omnibus.model.content import Attachment, Choices, Location, Media, Option, Text
from omnibus.model.entities import Message

MAX_TEXT = 7_000
MAX_CAPTION = 512
MAX_PICTURE_BYTES = 1_000_000
MAX_VIDEO_BYTES = 26_000_000
MAX_URL = 2_000
MAX_BUTTONS = 12
MAX_LABEL = 250
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif"})

Params = dict[str, object]


def calls_for(message: Message, urls: Mapping[str, str]) -> Sequence[Params]:
    """What is sent, in order; `urls` are those of the attachments, by their ids. Raises Refused."""
    files = [_file(attachment, urls[attachment.id]) for attachment in files_of(message)]
    content = message.content
    match content:
        case Text():
            calls = [*_texts(plain(content)), *files]
        case Choices():
            calls = [*files, *_choices(content)]
        case Media():
            calls = _with_caption(files, content.caption or "")
        case Location():
            calls = [*_location(content), *files]
        case _:
            raise Refused("UNSUPPORTED_OPERATION", f"Viber cannot show {content.__struct_config__.tag!r}")
    if not calls:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    return calls


def _texts(text: str) -> list[Params]:
    return [{"type": "text", "text": piece} for piece in pieces(text, MAX_TEXT)]


def _with_caption(files: list[Params], caption: str) -> list[Params]:
    """Pictures have room for words; for other files, and long words, they follow as a message of their own."""
    if files[0]["type"] == "picture" and units(caption) <= MAX_CAPTION:
        return [{**files[0], "text": caption}, *files[1:]]
    return [*files, *_texts(caption)]


def _choices(content: Choices) -> list[Params]:
    """The question with a keyboard that has a button for each option."""
    calls = _texts(content.text)
    if not calls:
        raise Refused("UNSUPPORTED_OPERATION", "a question needs words")
    if not 1 <= len(content.options) <= MAX_BUTTONS:
        raise Refused("UNSUPPORTED_OPERATION", f"Viber shows 1 to {MAX_BUTTONS} options")
    keyboard = {"Type": "keyboard", "Buttons": [_button(option) for option in content.options]}
    asked = {**calls[-1], "tracking_data": tracking_of(content.options), "keyboard": keyboard}
    return [*calls[:-1], asked]


def _button(option: Option) -> Params:
    """What is on a button is read as HTML; what a pressed one says is not.

    https://developers.viber.com/docs/tools/keyboards/#buttons-parameters
    """
    action = {"ActionType": "reply", "ActionBody": option.title}
    if option.url is not None:
        action = {"ActionType": "open-url", "ActionBody": option.url}
    return {"Columns": 6, "Rows": 1, **action, "Text": html.escape(shortened(option.title, MAX_LABEL))}


def _location(content: Location) -> list[Params]:
    words = ", ".join(part for part in (content.name, content.address) if part)
    # https://developers.viber.com/docs/api/rest-bot-api/#location-message: from API version 3 on
    spot: Params = {"type": "location", "location": {"lat": content.lat, "lon": content.lon}, "min_api_version": 3}
    return [spot, *_texts(words)]


def _file(attachment: Attachment, url: str) -> Params:
    """Viber wants to know the size of videos and files: without it they go as a link."""
    name, mime, size = safe_name(attachment), mime_of(attachment), attachment.size
    if size is None or len(url) > MAX_URL:
        return {"type": "text", "text": f"{name}\n{url}"}
    if mime in PICTURES and size <= MAX_PICTURE_BYTES:
        return {"type": "picture", "text": "", "media": url}
    if mime == "video/mp4" and size <= MAX_VIDEO_BYTES:
        return {"type": "video", "media": url, "size": size}
    return {"type": "file", "media": url, "size": size, "file_name": name}
