"""What a WhatsApp message says, in our words: a table of small functions, one for each kind of content."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from connectors._shared.reading import LONGEST_NATIVE_TYPE, facts
from connectors._shared.said import Said
from connectors.whatsapp_cloud import payload
from connectors.whatsapp_cloud.payload import MediaFile, Parts
from connectors.whatsapp_cloud.vcard import vcard_of
from omnibus.channel.events import Media
from omnibus.model.content import (
    AttachmentRef,
    Audio,
    ChoiceResponse,
    ContactCard,
    File,
    FormField,
    FormResponse,
    Image,
    Item,
    Location,
    Order,
    Sticker,
    System,
    Text,
    Unsupported,
    Video,
)

FIRST = "0"
"""The place of a message's only attachment."""
MAX_FORM_FIELDS = 200
_LARGEST = 2**63


def said_by(parts: Parts) -> Said:
    """What the message says; what nobody knows yet is `unsupported`."""
    build = CONTENTS.get(parts.type, unknown)
    return build(parts) or unknown(parts)


# --- words, places, people ----------------------------------------------------------------------


def text(parts: Parts) -> Said | None:
    return Said(content=Text(text=parts.text.body)) if parts.text else None


def location(parts: Parts) -> Said | None:
    found = parts.location
    if found is None:
        return None
    spot = Location(lat=found.latitude, lon=found.longitude, name=found.name or None, address=found.address or None)
    return Said(content=spot)


def contacts(parts: Parts) -> Said | None:
    cards = tuple(vcard_of(card) for card in parts.contacts or ())
    return Said(content=ContactCard(vcards=cards)) if cards else None


# --- files --------------------------------------------------------------------------------------


def image(parts: Parts) -> Said | None:
    found = parts.image
    if found is None:
        return None
    content = Image(attachment_id=FIRST, caption=found.caption)
    return Said(content=content, attachments=_file(found, "image/jpeg"))


def video(parts: Parts) -> Said | None:
    found = parts.video
    if found is None:
        return None
    content = Video(attachment_id=FIRST, caption=found.caption)
    return Said(content=content, attachments=_file(found, "video/mp4"))


def audio(parts: Parts) -> Said | None:
    found = parts.audio
    if found is None:
        return None
    content = Audio(attachment_id=FIRST, caption=found.caption, voice_note=found.voice)
    return Said(content=content, attachments=_file(found, "audio/ogg"))


def document(parts: Parts) -> Said | None:
    found = parts.document
    if found is None:
        return None
    content = File(attachment_id=FIRST, caption=found.caption)
    return Said(content=content, attachments=_file(found, "application/octet-stream"))


def sticker(parts: Parts) -> Said | None:
    found = parts.sticker
    if found is None:
        return None
    return Said(content=Sticker(attachment_id=FIRST), attachments=_file(found, "image/webp"))


def _file(found: MediaFile, mime: str) -> tuple[Media, ...]:
    """The media type comes with parameters (``audio/ogg; codecs=opus``), which say nothing to anybody else."""
    bare = (found.mime_type or mime).partition(";")[0].strip()
    ref = AttachmentRef(scheme="native", uri=found.id)
    return (Media(mime=bare or mime, ref=ref, file_name=found.filename),)


# --- answers ------------------------------------------------------------------------------------


def interactive(parts: Parts) -> Said | None:
    """A button, a row of a list, a form or a permission; without its object, Meta could not tell us (see `errors`)."""
    found = parts.interactive
    if found is None:
        return None
    if (choice := found.button_reply or found.list_reply) is not None:
        return Said(content=ChoiceResponse(option_id=choice.id, title=choice.title, payload=choice.id))
    if found.nfm_reply is not None:
        return Said(content=FormResponse(fields=_fields(found.nfm_reply)))
    if (permission := found.call_permission_reply) is not None:
        return Said(content=System(code=f"call_permission_{permission.response}"[:100], params=_allowed(permission)))
    return Said(content=Unsupported(native_type=f"interactive:{found.type}"[:LONGEST_NATIVE_TYPE]))


def button(parts: Parts) -> Said | None:
    found = parts.button
    if found is None:
        return None
    payload = found.payload if found.payload is not None else found.text
    return Said(content=ChoiceResponse(option_id=payload, title=found.text or None, payload=payload))


def _allowed(permission: payload.CallPermission) -> dict[str, str | int | float | bool]:
    return facts(is_permanent=permission.is_permanent, expires_at=permission.expiration_timestamp)


def _fields(reply: payload.FlowReply) -> tuple[FormField, ...]:
    """The answers of a form, which Meta gives as JSON within JSON."""
    try:
        answers = msgspec.json.decode(reply.response_json, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return (FormField(name="response", value=reply.response_json),)
    listed = list(answers.items())[:MAX_FORM_FIELDS]
    return tuple(FormField(name=name, value=_answer(bytes(json))) for name, json in listed)


def _answer(json: bytes) -> str | int | float | bool | None:
    """A plain value as it is, anything else as its JSON."""
    try:
        value = msgspec.json.decode(json, type=str | int | float | bool | None)
    except (msgspec.DecodeError, UnicodeError):
        return json.decode("utf-8", "replace")
    fits = not isinstance(value, int | float) or -_LARGEST <= value < _LARGEST
    return value if fits else json.decode("utf-8", "replace")


# --- shops --------------------------------------------------------------------------------------


def order(parts: Parts) -> Said | None:
    found = parts.order
    if found is None:
        return None
    items = tuple(
        Item(
            native_id=item.product_retailer_id,
            quantity=item.quantity,
            price=_price(item.item_price),
            currency=item.currency,
        )
        for item in found.product_items
    )
    return Said(content=Order(items=items, text=found.text or None))


def _price(value: float | str | None) -> str | None:
    """Prices are text, because money is no fraction of two."""
    return value if value is None or isinstance(value, str) else f"{value:.10g}"


# --- the platform -------------------------------------------------------------------------------


def system(parts: Parts) -> Said | None:
    found = parts.system
    if found is None:
        return None
    params = facts(
        text=found.body,
        phone=found.new_wa_id or found.wa_id,
        user_id=found.user_id,
        previous_user_id=found.previous_user_id,
    )
    return Said(content=System(code=found.type[:100] or "system", params=params))


def request_welcome(_parts: Parts) -> Said:
    """Somebody opened the chat for the first time, and has not written yet."""
    return Said(content=System(code="welcome_requested"))


def unknown(parts: Parts) -> Said:
    """The reason is the title of an error; it says nothing of the message's own words."""
    kind = parts.unsupported.type if parts.unsupported else None
    error = parts.errors[0] if parts.errors else None
    reason = None if error is None else (error.error_data and error.error_data.details) or error.title
    return Said(content=Unsupported(native_type=(kind or parts.type)[:LONGEST_NATIVE_TYPE], summary=reason))


CONTENTS: Mapping[str, Callable[[Parts], Said | None]] = {
    "text": text,
    "image": image,
    "video": video,
    "audio": audio,
    "voice": audio,
    "document": document,
    "sticker": sticker,
    "location": location,
    "contacts": contacts,
    "interactive": interactive,
    "button": button,
    "order": order,
    "system": system,
    "request_welcome": request_welcome,
}
