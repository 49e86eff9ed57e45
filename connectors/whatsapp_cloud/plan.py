"""Which messages of the Cloud API say a message: pure, so that what is sent can be read without sending it.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from connectors._shared.files import mime_of, named, reference, safe_name
from connectors._shared.meta.choices import cut, numbered
from connectors._shared.words import plain
from connectors.whatsapp_cloud.cards import contacts_of
from connectors.whatsapp_cloud.place import ACCOUNT, CALLBACK, Place
from connectors.whatsapp_cloud.template import template_of
from omnibus.channel.send import split_text
from omnibus.errors import Refused
from omnibus.model import content as model
from omnibus.model.content import Attachment, Content, Location, Option
from omnibus.model.entities import Message

MAX_TEXT = 4_096
MAX_CAPTION = 1_024
MAX_BUTTONS = 3
MAX_ROWS = 10
MAX_BUTTON_TITLE = 20
MAX_ROW_TITLE = 24
MAX_ROW_DESCRIPTION = 72
MAX_BUTTON_BODY = 1_024
MEGABYTE = 1_000_000
MAX_FILE_BYTES = 100 * MEGABYTE

KINDS: Mapping[str, tuple[frozenset[str], int]] = {
    # https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
    "image": (frozenset({"image/jpeg", "image/png"}), 5 * MEGABYTE),
    "video": (frozenset({"video/mp4", "video/3gpp"}), 16 * MEGABYTE),
    "audio": (frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}), 16 * MEGABYTE),
    "sticker": (frozenset({"image/webp"}), 500_000),
}
"""The kinds of media: their types and their largest size in bytes. Everything else is a document."""
CAPTIONED = frozenset({"image", "video", "document"})


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One message: `body` is what is posted; the id of the uploaded `file` goes into its part named `kind`."""

    body: dict[str, Any]
    kind: str = ""
    file: Attachment | None = None


def pieces_of(message: Message, place: Place, list_button: str) -> Sequence[Piece]:
    """The messages that say `message`, in order. Raises Refused for what WhatsApp cannot take."""
    pieces = _said(message, list_button)
    if not pieces:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    answered = message.in_reply_to.native_id if message.in_reply_to else None
    context = {"context": {"message_id": answered}} if answered else {}
    first = msgspec.structs.replace(pieces[0], body={**context, **pieces[0].body})
    envelope = addressed(place)
    return [msgspec.structs.replace(piece, body={**envelope, **piece.body}) for piece in (first, *pieces[1:])]


def addressed(place: Place) -> dict[str, Any]:
    """To whom: a group, a phone number, or a business-scoped user id, for which there is a field of its own.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
    """
    envelope: dict[str, Any] = {"messaging_product": "whatsapp"}
    if place.other == ACCOUNT:
        raise Refused("RECIPIENT_NOT_REACHABLE", "this conversation is with the platform, and nobody is there")
    if place.group is not None:
        envelope |= {"recipient_type": "group", "to": place.group}
    elif place.other.isdigit():
        envelope |= {"recipient_type": "individual", "to": place.other}
    else:
        envelope |= {"recipient_type": "individual", "recipient": place.other}
    return {**envelope, "biz_opaque_callback_data": f"{CALLBACK}{place.other}"}


def _said(message: Message, list_button: str) -> list[Piece]:
    content = message.content
    match content:
        case model.Media():
            shown = named(message, content.attachment_id)
            others = [attachment for attachment in message.attachments if attachment.id != shown.id]
            return [*_media(content, shown), *(_file(other) for other in others)]
        case model.Text():
            pieces = _texts(plain(content))
        case model.Choices():
            pieces = _choices(content, list_button)
        case Location():
            pieces = [Piece(body={"type": "location", "location": _spot(content)})]
        case model.Template():
            pieces = [Piece(body={"type": "template", "template": template_of(content)})]
        case model.ContactCard():
            pieces = [Piece(body={"type": "contacts", "contacts": contacts_of(content)})]
        case _:
            raise Refused("UNSUPPORTED_OPERATION", f"WhatsApp cannot show {_tag(content)!r}")
    return [*pieces, *(_file(attachment) for attachment in message.attachments)]


def _tag(content: Content) -> str:
    return str(content.__struct_config__.tag)


def _texts(text: str) -> list[Piece]:
    """A text, in as many messages as it needs; none when it is empty."""
    return [Piece(body=_text(piece)) for piece in split_text(text, MAX_TEXT) if piece.strip()]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": {"body": text, "preview_url": "https://" in text}}


def _spot(content: Location) -> dict[str, Any]:
    spot: dict[str, Any] = {"latitude": content.lat, "longitude": content.lon}
    return {
        **spot,
        **({"name": content.name} if content.name else {}),
        **({"address": content.address} if content.address else {}),
    }


# --- choices ------------------------------------------------------------------------------------


def _choices(content: model.Choices, list_button: str) -> list[Piece]:
    """Up to three short options are buttons, up to ten are a list, a single link is a button that opens it; what fits
    none of these is numbered text.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-reply-buttons-messages
    https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-list-messages
    https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-cta-url-messages
    """
    options = content.options
    linked = [option for option in options if option.url is not None]
    if not content.text.strip():
        raise Refused("UNSUPPORTED_OPERATION", "a question needs words")
    if len(options) == 1 and linked:
        return _interactive(content.text, MAX_BUTTON_BODY, "cta_url", _link(options[0]))
    if not options or linked or len(options) > MAX_ROWS:
        return _texts(numbered(content))
    if len(options) <= MAX_BUTTONS and not any(_needs_row(option) for option in options):
        return _interactive(content.text, MAX_BUTTON_BODY, "button", {"buttons": [_button(each) for each in options]})
    rows = [_row(option) for option in options]
    return _interactive(content.text, MAX_TEXT, "list", {"button": list_button, "sections": [{"rows": rows}]})


def _interactive(text: str, limit: int, kind: str, action: dict[str, Any]) -> list[Piece]:
    """The question with its options below; what is too long for it goes before."""
    pieces = split_text(text, limit)
    interactive = {"type": kind, "body": {"text": pieces[-1]}, "action": action}
    asked = Piece(body={"type": "interactive", "interactive": interactive})
    return [*(Piece(body=_text(piece)) for piece in pieces[:-1]), asked]


def _needs_row(option: Option) -> bool:
    return option.description is not None or len(option.title) > MAX_BUTTON_TITLE


def _button(option: Option) -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": option.id, "title": option.title}}


def _row(option: Option) -> dict[str, Any]:
    """A title that is too long stands in full below itself."""
    long = option.title if len(option.title) > MAX_ROW_TITLE else None
    description = " – ".join(part for part in (long, option.description) if part)
    row = {"id": option.id, "title": cut(option.title, MAX_ROW_TITLE)}
    return {**row, "description": cut(description, MAX_ROW_DESCRIPTION)} if description else row


def _link(option: Option) -> dict[str, Any]:
    parameters = {"display_text": cut(option.title, MAX_BUTTON_TITLE), "url": option.url}
    return {"name": "cta_url", "parameters": parameters}


# --- files --------------------------------------------------------------------------------------


def _media(content: model.Media, attachment: Attachment) -> list[Piece]:
    """The file with its caption; one too long for a caption, or below what has none, follows as a text."""
    caption = content.caption or ""
    piece = _file(attachment, content)
    if not caption:
        return [piece]
    if piece.kind not in CAPTIONED or len(caption) > MAX_CAPTION:
        return [piece, *_texts(caption)]
    media = {**piece.body[piece.kind], "caption": caption}
    return [msgspec.structs.replace(piece, body={**piece.body, piece.kind: media})]


def _file(attachment: Attachment, content: model.Media | None = None) -> Piece:
    kind = _kind(attachment, content)
    ref = reference(attachment, MAX_FILE_BYTES)
    media: dict[str, Any] = {}
    if kind == "document" and (name := safe_name(attachment, "")):
        media["filename"] = name
    if (
        kind == "audio"
        and isinstance(content, model.Audio)
        and content.voice_note
        and mime_of(attachment) == "audio/ogg"
    ):
        media["voice"] = True
    if ref.scheme == "object":
        return Piece(body={"type": kind, kind: media}, kind=kind, file=attachment)
    media["id" if ref.scheme == "native" else "link"] = ref.uri
    return Piece(body={"type": kind, kind: media}, kind=kind)


def _kind(attachment: Attachment, content: model.Media | None) -> str:
    """What the file is to WhatsApp: what is too large for its kind, or of a type it cannot play, is a document."""
    if isinstance(content, model.File):
        return "document"
    mime, size = mime_of(attachment), attachment.size or 0
    for kind, (types, largest) in KINDS.items():
        if mime in types and size <= largest and (kind == "sticker") == isinstance(content, model.Sticker):
            return kind
    return "document"
