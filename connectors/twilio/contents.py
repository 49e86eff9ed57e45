"""What a message says. https://www.twilio.com/docs/messaging/guides/webhook-request"""

from __future__ import annotations

import math
import re

from connectors._shared.sms.fields import Fields
from omnibus.channel.events import Media
from omnibus.model.base import Attributes
from omnibus.model.content import (
    AttachmentRef,
    Audio,
    ChoiceResponse,
    Content,
    File,
    Image,
    Location,
    Text,
    Unsupported,
    Video,
)
from omnibus.model.entities import Referral

MAX_MEDIA = 30
"""Three times what a message holds today."""
MAX_URL_CHARS = 2_000
MAX_VALUE_CHARS = 400

_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_KINDS: dict[str, type[Image | Audio | Video]] = {"image": Image, "audio": Audio, "video": Video}
_NAMED = (("opt_out", "OptOutType"), ("forwarded", "Forwarded"), ("country", "FromCountry"))
_WORDLESS = frozenset({"", "text", "image", "audio", "video", "document", "sticker"})


def media_of(fields: Fields) -> tuple[Media, ...]:
    """References to the files of a message; Twilio keeps them until somebody deletes them."""
    if fields.get("NumMedia") in (None, "0"):
        return ()
    found = []
    for index in range(MAX_MEDIA):
        url = fields.get(f"MediaUrl{index}")
        if url is None:
            break
        if 0 < len(url) <= MAX_URL_CHARS:
            found.append(media_at(url, fields.text(f"MediaContentType{index}")))
    return tuple(found)


def media_at(url: str, mime: str) -> Media:
    """A file at an address of Twilio, which only the account's credentials open."""
    declared = mime.partition(";")[0].strip().lower()
    mime = declared if _MIME.fullmatch(declared) else "application/octet-stream"
    return Media(mime=mime, ref=AttachmentRef(scheme="native", uri=url))


def content_of(fields: Fields, files: tuple[Media, ...]) -> Content:
    """The content; a kind we do not know is unsupported and keeps its name."""
    body = fields.text("Body")
    if (location := _location(fields)) is not None:
        return location
    if (choice := _choice(fields)) is not None:
        return choice
    if files:
        kind = _KINDS.get(files[0].mime.partition("/")[0])
        return (kind or File)(attachment_id="0", caption=body or None)
    native_type = fields.text("MessageType")
    if body or native_type in _WORDLESS:
        return Text(text=body)
    return Unsupported(native_type=native_type[:100])


def referral_of(fields: Fields) -> Referral | None:
    """The advertisement a WhatsApp conversation began with."""
    kind = fields.get("ReferralSourceType")
    if not kind:
        return None
    return Referral(
        source="whatsapp",
        type=kind[:MAX_VALUE_CHARS],
        ad_id=fields.text("ReferralSourceId")[:MAX_VALUE_CHARS] or None,
        code=fields.text("ReferralCtwaClid")[:MAX_VALUE_CHARS] or None,
        url=fields.text("ReferralSourceUrl")[:MAX_URL_CHARS] or None,
    )


def attributes_of(fields: Fields) -> Attributes:
    """What the model has no field for."""
    return {name: value[:MAX_VALUE_CHARS] for name, field in _NAMED if (value := fields.get(field))}


def _location(fields: Fields) -> Location | None:
    given = fields.get("Latitude")
    if given is None:
        return None
    try:
        lat, lon = float(given), float(fields.text("Longitude"))
    except ValueError:
        return None
    if not (math.isfinite(lat) and math.isfinite(lon) and abs(lat) <= 90 and abs(lon) <= 180):
        return None
    return Location(lat=lat, lon=lon, name=fields.get("Label") or None, address=fields.get("Address") or None)


def _choice(fields: Fields) -> ChoiceResponse | None:
    for option, title in (("ButtonPayload", "ButtonText"), ("ListId", "ListTitle")):
        if chosen := fields.get(option):
            return ChoiceResponse(option_id=chosen, title=fields.get(title) or None, payload=chosen)
    return None
