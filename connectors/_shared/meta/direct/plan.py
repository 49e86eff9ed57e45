"""Which calls of the Send API say a message: pure, so that what is sent can be read without sending it.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/reference/send-api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from connectors._shared.files import mime_of, named, reference
from connectors._shared.meta.choices import cut, numbered
from connectors._shared.meta.direct.limits import MAX_FILE_BYTES, MAX_IMAGE_BYTES
from connectors._shared.meta.direct.place import Place
from connectors._shared.words import plain
from omnibus.channel.send import split_text
from omnibus.errors import Refused
from omnibus.model import content as model
from omnibus.model.content import Attachment, Card, Content, Option
from omnibus.model.entities import Message

MAX_QUICK_REPLIES = 13
MAX_QUICK_TITLE = 20
MAX_BUTTONS = 3
MAX_BUTTON_TITLE = 20
MAX_BUTTON_TEXT = 640
MAX_PAYLOAD = 1_000
MAX_CARDS = 10
MAX_CARD_TEXT = 80
FAMILIES = frozenset({"image", "video", "audio"})

Split = Callable[[str], Sequence[str]]
"""A text in pieces that the platform takes."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One call: `body` is posted to `path`; the id of the uploaded `file` goes into its attachment."""

    path: str
    body: dict[str, Any]
    file: Attachment | None = None


def split_by_bytes(text: str, limit: int) -> Sequence[str]:
    """Pieces of at most so many bytes; the more of a text is beyond ASCII, the fewer characters fit."""
    for characters in (limit, limit // 2, limit // 3):
        pieces = split_text(text, characters)
        if all(len(piece.encode("utf-8", "replace")) <= limit for piece in pieces):
            return pieces
    return split_text(text, limit // 4)


# --- direct messages ----------------------------------------------------------------------------


def direct_pieces(message: Message, place: Place, split: Split, more: Mapping[str, Any]) -> Sequence[Piece]:
    """The calls that say `message` to a person, in order; `more` goes into every body. Raises Refused."""
    said = _said(message, split)
    if not said:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    answered = message.in_reply_to.native_id if message.in_reply_to else None
    recipient = {"user_ref": place.id} if place.where == "ref" else {"id": place.id}
    pieces = []
    for index, (content, file) in enumerate(said):
        body: dict[str, Any] = {"recipient": recipient, **more, "message": content}
        if answered and index == 0:
            body["reply_to"] = {"mid": answered}
        pieces.append(Piece(path=f"{place.ours}/messages", body=body, file=file))
    return pieces


Said = tuple[dict[str, Any], Attachment | None]


def _said(message: Message, split: Split) -> list[Said]:
    content = message.content
    match content:
        case model.Media():
            shown = named(message, content.attachment_id)
            others = [attachment for attachment in message.attachments if attachment.id != shown.id]
            # There are no captions: the words follow their file.
            return [_file(shown, content), *_texts(content.caption or "", split), *(_file(other) for other in others)]
        case model.Text():
            said = _texts(plain(content), split)
        case model.Choices():
            said = _choices(content, split)
        case model.SingleCard() | model.Carousel():
            said = [_cards(content)]
        case _:
            raise Refused("UNSUPPORTED_OPERATION", f"the channel cannot show {tag_of(content)!r}")
    return [*said, *(_file(attachment) for attachment in message.attachments)]


def tag_of(content: Content) -> str:
    return str(content.__struct_config__.tag)


def _texts(text: str, split: Split) -> list[Said]:
    return [({"text": piece}, None) for piece in split(text) if piece.strip()]


# --- choices and cards --------------------------------------------------------------------------


def _choices(content: model.Choices, split: Split) -> list[Said]:
    """Quick replies below the question; with links, up to three buttons; what fits neither is numbered text.

    https://developers.facebook.com/docs/messenger-platform/send-messages/quick-replies
    https://developers.facebook.com/docs/messenger-platform/send-messages/template/button
    """
    if not content.text.strip():
        raise Refused("UNSUPPORTED_OPERATION", "a question needs words")
    *before, last = split(content.text)
    asked = _quick_replies(content.options, last) or _buttons(content.options, last)
    if asked is None:
        return _texts(numbered(content), split)
    return [*(({"text": piece}, None) for piece in before), (asked, None)]


def _quick_replies(options: Sequence[Option], text: str) -> dict[str, Any] | None:
    fits = 0 < len(options) <= MAX_QUICK_REPLIES and all(
        option.url is None and len(option.title) <= MAX_QUICK_TITLE and len(option.id) <= MAX_PAYLOAD
        for option in options
    )
    if not fits:
        return None
    replies = [{"content_type": "text", "title": option.title, "payload": option.id} for option in options]
    return {"text": text, "quick_replies": replies}


def _buttons(options: Sequence[Option], text: str) -> dict[str, Any] | None:
    fits = 0 < len(options) <= MAX_BUTTONS and len(text) <= MAX_BUTTON_TEXT
    if not fits or any(len(option.title) > MAX_BUTTON_TITLE for option in options):
        return None
    payload = {"template_type": "button", "text": text, "buttons": [_button(option) for option in options]}
    return {"attachment": {"type": "template", "payload": payload}}


def _button(option: Option) -> dict[str, Any]:
    title = cut(option.title, MAX_BUTTON_TITLE)
    if option.url is not None:
        return {"type": "web_url", "title": title, "url": option.url}
    return {"type": "postback", "title": title, "payload": option.id[:MAX_PAYLOAD]}


def _cards(content: model.SingleCard | model.Carousel) -> Said:
    """https://developers.facebook.com/docs/messenger-platform/send-messages/template/generic"""
    if not 1 <= len(content.items) <= MAX_CARDS:
        raise Refused("UNSUPPORTED_OPERATION", f"between 1 and {MAX_CARDS} cards")
    payload = {"template_type": "generic", "elements": [_card(card) for card in content.items]}
    return {"attachment": {"type": "template", "payload": payload}}, None


def _card(card: Card) -> dict[str, Any]:
    buttons = [_button(option) for option in card.options[:MAX_BUTTONS]]
    return {
        "title": cut(card.title, MAX_CARD_TEXT),
        **({"subtitle": cut(card.text, MAX_CARD_TEXT)} if card.text else {}),
        **({"image_url": card.image_url} if card.image_url else {}),
        **({"buttons": buttons} if buttons else {}),
    }


# --- files --------------------------------------------------------------------------------------


def _file(attachment: Attachment, content: model.Media | None = None) -> Said:
    """A file by its address, or to be uploaded."""
    kind = _kind(attachment, content)
    ref = reference(attachment, MAX_IMAGE_BYTES if kind == "image" else MAX_FILE_BYTES)
    if ref.scheme == "native":
        raise Refused("MEDIA_NOT_REACHABLE", "an id of another channel's file")
    payload = {} if ref.scheme == "object" else {"url": ref.uri}
    return {"attachment": {"type": kind, "payload": payload}}, attachment if ref.scheme == "object" else None


def _kind(attachment: Attachment, content: model.Media | None) -> str:
    family = mime_of(attachment).partition("/")[0]
    large = family == "image" and (attachment.size or 0) > MAX_IMAGE_BYTES
    return "file" if isinstance(content, model.File) or large or family not in FAMILIES else family
