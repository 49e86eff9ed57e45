"""What a message says: an open union, told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from omnibus.model.base import Attributes, Id, Model, Timestamp, known


class ContentBase(Model, frozen=True, kw_only=True, tag_field="type"):
    """Base of the content union."""


class Text(ContentBase, frozen=True, kw_only=True, tag="text"):
    """Plain words, in the format the channel gave."""

    text: str
    format: Annotated[str, known("plain", "markdown", "html")] = "plain"


class MailAddress(Model, frozen=True, kw_only=True):
    """A mailbox as the mail names it."""

    address: str
    name: str | None = None


class Email(ContentBase, frozen=True, kw_only=True, tag="email"):
    """A mail: `text` is all of it, `text_reply_only` what its author wrote this time."""

    subject: str
    text: str
    text_reply_only: str | None = None
    html_ref: str | None = None
    sender: MailAddress | None = msgspec.field(default=None, name="from")
    to: tuple[MailAddress, ...] = ()
    cc: tuple[MailAddress, ...] = ()
    bcc: tuple[MailAddress, ...] = ()
    reply_to: tuple[MailAddress, ...] = ()
    message_id: str | None = None
    references: tuple[str, ...] = ()
    headers: dict[str, str] = {}


class Media(ContentBase, frozen=True, kw_only=True):
    """Base of the content kinds that are one attachment with words beside it."""

    attachment_id: Id
    caption: str | None = None
    alt_text: str | None = None


class Image(Media, frozen=True, kw_only=True, tag="image"):
    """A picture."""


class Audio(Media, frozen=True, kw_only=True, tag="audio"):
    """A sound; `voice_note` when it was spoken into the app."""

    voice_note: bool = False


class Video(Media, frozen=True, kw_only=True, tag="video"):
    """A film."""


class File(Media, frozen=True, kw_only=True, tag="file"):
    """Any other file."""


class Sticker(Media, frozen=True, kw_only=True, tag="sticker"):
    """A sticker; `alt_text` holds the emoji it stands for, where the channel says."""


class Location(ContentBase, frozen=True, kw_only=True, tag="location"):
    """A place, in WGS 84 degrees; `live` when it moves."""

    lat: float
    lon: float
    name: str | None = None
    address: str | None = None
    live: bool = False


class ContactCard(ContentBase, frozen=True, kw_only=True, tag="contact_card"):
    """One or more people as vCards."""

    vcards: tuple[str, ...]


class Option(Model, frozen=True, kw_only=True):
    """One of the choices offered."""

    id: str
    title: str
    description: str | None = None
    url: str | None = None


class Choices(ContentBase, frozen=True, kw_only=True, tag="choices"):
    """A question with options: buttons where the channel has them, numbered text where not."""

    text: str
    options: tuple[Option, ...]


class ChoiceResponse(ContentBase, frozen=True, kw_only=True, tag="choice_response"):
    """The option somebody chose."""

    option_id: str
    title: str | None = None
    payload: str | None = None


class Postback(ContentBase, frozen=True, kw_only=True, tag="postback"):
    """A button or menu entry that sends a payload instead of words."""

    payload: str
    title: str | None = None


class FormField(Model, frozen=True, kw_only=True):
    """A field of a form, or its answer."""

    name: str
    label: str | None = None
    type: str = "text"
    value: str | int | float | bool | None = None


class Form(ContentBase, frozen=True, kw_only=True, tag="form"):
    """A form to fill in."""

    fields: tuple[FormField, ...]


class FormResponse(ContentBase, frozen=True, kw_only=True, tag="form_response"):
    """A form filled in."""

    fields: tuple[FormField, ...]


class Card(Model, frozen=True, kw_only=True):
    """A card: title, words, picture, options."""

    title: str
    text: str | None = None
    image_url: str | None = None
    options: tuple[Option, ...] = ()


class Cards(ContentBase, frozen=True, kw_only=True):
    """Base of the content kinds made of cards."""

    items: tuple[Card, ...]


class SingleCard(Cards, frozen=True, kw_only=True, tag="card"):
    """One card."""


class Carousel(Cards, frozen=True, kw_only=True, tag="carousel"):
    """Cards side by side."""


class CardList(Cards, frozen=True, kw_only=True, tag="list"):
    """Cards below each other."""


class Template(ContentBase, frozen=True, kw_only=True, tag="template"):
    """A message approved beforehand by the provider, with parameters."""

    name: str
    language: str
    params: dict[str, str] = {}


class Item(Model, frozen=True, kw_only=True):
    """A line of an order."""

    native_id: str
    name: str | None = None
    quantity: int = 1
    price: str | None = None
    currency: str | None = None


class Product(ContentBase, frozen=True, kw_only=True, tag="product"):
    """A product somebody asks about."""

    item: Item
    text: str | None = None


class Order(ContentBase, frozen=True, kw_only=True, tag="order"):
    """A basket sent as a message."""

    items: tuple[Item, ...]
    text: str | None = None


class Call(ContentBase, frozen=True, kw_only=True, tag="call"):
    """A phone call as it appears in the conversation."""

    call_id: str
    direction: Annotated[str, known("inbound", "outbound")]
    state: Annotated[str, known("ringing", "answered", "ended", "missed", "busy", "failed", "voicemail")]
    duration_s: float | None = None
    recording_ref: str | None = None
    transcript_ref: str | None = None
    voicemail: bool = False


class Social(ContentBase, frozen=True, kw_only=True, tag="social"):
    """A public post, comment, mention or review."""

    kind: Annotated[str, known("post", "comment", "mention", "review", "story_reply", "story_mention")]
    text: str = ""
    permalink: str | None = None
    rating: float | None = None
    parent_native_id: str | None = None


class System(ContentBase, frozen=True, kw_only=True, tag="system"):
    """Something the channel says about the conversation (`member_joined` ...)."""

    code: str
    params: Attributes = {}


class Unsupported(ContentBase, frozen=True, kw_only=True, tag="unsupported"):
    """A native kind that no mapping knows yet; the raw event has all of it, and a later mapping may upgrade it."""

    native_type: str
    summary: str | None = None


Content = (
    Text
    | Email
    | Image
    | Audio
    | Video
    | File
    | Sticker
    | Location
    | ContactCard
    | Choices
    | ChoiceResponse
    | Postback
    | Form
    | FormResponse
    | SingleCard
    | Carousel
    | CardList
    | Template
    | Product
    | Order
    | Call
    | Social
    | System
    | Unsupported
)


class AttachmentRef(Model, frozen=True, kw_only=True):
    """Where the bytes are: our blob store (`object`), a public address (`url`) or the provider's id (`native`)."""

    scheme: Annotated[str, known("object", "url", "native")]
    uri: str
    expires_at: Timestamp | None = None


class Attachment(Model, frozen=True, kw_only=True):
    """A file that belongs to a message. While `state` is `pending` the media worker is still fetching it."""

    id: Id
    mime: str
    state: Annotated[str, known("pending", "stored", "external", "expired", "blocked", "too_large")]
    file_name: str | None = None
    size: int | None = None
    sha256: str | None = None
    ref: AttachmentRef | None = None
    content_id: str | None = None
    inline: bool = False
    reason: str | None = None


def text_of(content: Any) -> str:
    """The words of a content, for rules, previews and word searches; empty when it has none."""
    match content:
        case Text() | Choices():
            return content.text
        case Email():
            return content.text_reply_only if content.text_reply_only is not None else content.text
        case Media():
            return content.caption or ""
        case ChoiceResponse():
            return content.title or content.payload or content.option_id
        case Postback():
            return content.title or content.payload
        case Social():
            return content.text
        case Product() | Order():
            return content.text or ""
        case Unsupported():
            return content.summary or ""
        case Location():
            return content.name or content.address or ""
        case FormResponse():
            return "\n".join(f"{field.label or field.name}: {field.value}" for field in content.fields)
        case _:
            return ""
