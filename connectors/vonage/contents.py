"""What a message says. https://developer.vonage.com/en/api/messages#inbound-message"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from connectors._shared.sms.fields import as_text
from connectors.vonage.payloads import Linked, Notice, Ordered
from omnibus.channel.events import Media
from omnibus.model.content import (
    AttachmentRef,
    Audio,
    ChoiceResponse,
    Content,
    File,
    Image,
    Item,
    Location,
    Order,
    Sticker,
    Text,
    Unsupported,
    Video,
)

MAX_FILES = 30
MAX_URL_CHARS = 2_000
OWN_HOSTS = ("nexmo.com", "vonage.com")

_ANY = "application/octet-stream"
_MIMES = {"image": "image/*", "audio": "audio/*", "video": "video/*", "vcard": "text/vcard"}
_KINDS: Mapping[str, type[Image | Audio | Video | File | Sticker]] = {
    "image": Image,
    "audio": Audio,
    "video": Video,
    "file": File,
    "vcard": File,
    "sticker": Sticker,
}

Said = tuple[Content, tuple[Media, ...]]


def said_in(notice: Notice) -> Said:
    """Content and files; a kind we do not know is unsupported and keeps its name."""
    kind = notice.message_type or "message"
    build = BUILDERS.get(kind)
    said = None if build is None else build(notice)
    return said or (Unsupported(native_type=kind[:100]), ())


def media_at(url: str, mime: str, name: str | None = None) -> Media | None:
    """A file; those that Vonage keeps open with the account's credentials only."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    if not host or len(url) > MAX_URL_CHARS or not url.startswith(("https://", "http://")):
        return None
    own = any(host == known or host.endswith(f".{known}") for known in OWN_HOSTS)
    return Media(
        # The kind is known, the type is not; the media worker finds it out.
        mime=_ANY if mime.endswith("/*") else mime,
        ref=AttachmentRef(scheme="native" if own else "url", uri=url),
        file_name=(name or "")[-200:] or None,
    )


def _text(notice: Notice) -> Said | None:
    return None if notice.text is None else (Text(text=notice.text), ())


def _linked(notice: Notice) -> Said | None:
    kind = notice.message_type or ""
    found: Linked | None = getattr(notice, kind)
    if found is None:
        return None
    media = media_at(found.url, _MIMES.get(kind, _ANY), found.name)
    if media is None:
        return None
    return _KINDS[kind](attachment_id="0", caption=found.caption or notice.text or None), (media,)


def _several(notice: Notice) -> Said | None:
    """A picture message with several files."""
    found = [
        (part.type, media)
        for part in notice.content[:MAX_FILES]
        if (media := media_at(part.url, _MIMES.get(part.type, _ANY))) is not None
    ]
    if not found:
        return _text(notice)
    first = _KINDS.get(found[0][0], File)
    return first(attachment_id="0", caption=notice.text or None), tuple(media for _, media in found)


def _location(notice: Notice) -> Said | None:
    place = notice.location
    if place is None:
        return None
    return Location(lat=place.lat, lon=place.long, name=place.name, address=place.address), ()


def _reply(notice: Notice) -> Said | None:
    chosen = notice.reply
    return None if chosen is None else (ChoiceResponse(option_id=chosen.id, title=chosen.title, payload=chosen.id), ())


def _button(notice: Notice) -> Said | None:
    pressed = notice.button
    if pressed is None:
        return None
    return ChoiceResponse(option_id=pressed.payload, title=pressed.text, payload=pressed.payload), ()


def _order(notice: Notice) -> Said | None:
    return None if notice.order is None else (_basket(notice.order), ())


def _basket(order: Ordered) -> Order:
    items = tuple(
        Item(
            native_id=item.product_retailer_id,
            quantity=_quantity(item.quantity),
            price=as_text(item.item_price),
            currency=item.currency,
        )
        for item in order.product_items
    )
    return Order(items=items, text=order.text)


def _quantity(given: object) -> int:
    text = as_text(given) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1


BUILDERS: Mapping[str, Callable[[Notice], Said | None]] = {
    "text": _text,
    "image": _linked,
    "audio": _linked,
    "video": _linked,
    "file": _linked,
    "sticker": _linked,
    "vcard": _linked,
    "content": _several,
    "location": _location,
    "reply": _reply,
    "button": _button,
    "order": _order,
}
