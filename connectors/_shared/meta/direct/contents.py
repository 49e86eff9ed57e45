"""What a direct message says, in our words: a table of small functions, one for each kind of attachment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from connectors._shared.meta.direct.payload import Attachment, Message, Payload
from connectors._shared.reading import LONGEST_NATIVE_TYPE
from connectors._shared.said import Said
from omnibus.channel.events import Media
from omnibus.model.base import Timestamp
from omnibus.model.content import (
    AttachmentRef,
    Audio,
    ChoiceResponse,
    Content,
    File,
    Image,
    Item,
    Location,
    Product,
    Social,
    Sticker,
    Text,
    Unsupported,
    Video,
)

MIMES: Mapping[str, str] = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/mp4",
    "file": "application/octet-stream",
    "share": "application/octet-stream",
    "ig_post": "application/octet-stream",
    "story_mention": "application/octet-stream",
    "reel": "video/mp4",
    "ig_reel": "video/mp4",
}
"""What attachments of a type probably are; whoever fetches them looks closer. Other types have no file."""

STORY_LIFE = timedelta(hours=24)
"""https://developers.facebook.com/docs/messenger-platform/instagram/features/story-mention"""
MAX_FILES = 50


def said_by(message: Message, at: Timestamp) -> Said:
    """What the message says; what nobody knows yet is `unsupported`."""
    files = tuple(media for each in message.attachments[:MAX_FILES] if (media := _media(each, at)) is not None)
    return Said(content=_content(message), attachments=files)


def _content(message: Message) -> Content:
    text = message.text or None
    if message.quick_reply is not None:
        payload = message.quick_reply.payload
        return ChoiceResponse(option_id=payload, title=text, payload=payload)
    if message.reply_to is not None and (story := message.reply_to.story) is not None:
        identifier = None if story.id is None else str(story.id)
        return Social(kind="story_reply", text=text or "", permalink=story.url, parent_native_id=identifier)
    first = message.attachments[0] if message.attachments else None
    if first is not None and (text is None or first.type in WORDED):
        return ATTACHED.get(first.type, unknown)(first, text)
    return Unsupported(native_type="message") if text is None else Text(text=text)


def _media(attachment: Attachment, at: Timestamp) -> Media | None:
    """The file of an attachment; the addresses Meta gives are open, and do not last."""
    mime, url = MIMES.get(attachment.type), _url(attachment)
    if mime is None or url is None:
        return None
    expires_at = at + STORY_LIFE if attachment.type == "story_mention" else None
    return Media(mime=mime, ref=AttachmentRef(scheme="url", uri=url, expires_at=expires_at))


def _url(attachment: Attachment) -> str | None:
    url = (attachment.payload.url if attachment.payload else None) or attachment.url
    return url if url and url.startswith(("https://", "http://")) else None


def _payload(attachment: Attachment) -> Payload:
    return attachment.payload or Payload()


# --- files --------------------------------------------------------------------------------------


def image(attachment: Attachment, _text: str | None) -> Content:
    if _url(attachment) is None:
        return unknown(attachment, None)
    return Sticker(attachment_id="0") if _payload(attachment).sticker_id is not None else Image(attachment_id="0")


def video(attachment: Attachment, _text: str | None) -> Content:
    return unknown(attachment, None) if _url(attachment) is None else Video(attachment_id="0")


def audio(attachment: Attachment, _text: str | None) -> Content:
    return unknown(attachment, None) if _url(attachment) is None else Audio(attachment_id="0")


def file(attachment: Attachment, _text: str | None) -> Content:
    return unknown(attachment, None) if _url(attachment) is None else File(attachment_id="0")


# --- everything else ----------------------------------------------------------------------------


def location(attachment: Attachment, _text: str | None) -> Content:
    spot = _payload(attachment).coordinates
    if spot is None:
        return unknown(attachment, None)
    return Location(lat=spot.lat, lon=spot.long, name=attachment.title)


def link(attachment: Attachment, text: str | None) -> Content:
    """A link with a preview, or something Messenger has no form for."""
    title = _payload(attachment).title or attachment.title
    words = text or "\n".join(part for part in (title, _url(attachment)) if part)
    return Text(text=words) if words else unknown(attachment, None)


def shared_post(attachment: Attachment, text: str | None) -> Content:
    """Somebody shares a post or a reel with us."""
    title = _payload(attachment).title or attachment.title
    return Social(kind="post", text=text or title or "", permalink=_url(attachment))


def story_mention(attachment: Attachment, text: str | None) -> Content:
    """Somebody mentions us in their story."""
    return Social(kind="story_mention", text=text or "", permalink=_url(attachment))


def template(attachment: Attachment, text: str | None) -> Content:
    """A product that somebody shares, or what another app of ours has sent."""
    payload = _payload(attachment)
    product = next(iter(payload.product.elements), None) if payload.product else None
    if product is not None and (native_id := str(product.retailer_id or product.id or "")):
        return Product(item=Item(native_id=native_id, name=product.title), text=text)
    words = text or payload.text
    if words:
        return Text(text=words)
    return Unsupported(native_type=f"template:{payload.template_type or 'unknown'}"[:LONGEST_NATIVE_TYPE])


def unknown(attachment: Attachment, text: str | None) -> Content:
    return Text(text=text) if text else Unsupported(native_type=attachment.type[:LONGEST_NATIVE_TYPE] or "attachment")


ATTACHED: Mapping[str, Callable[[Attachment, str | None], Content]] = {
    "image": image,
    "video": video,
    "audio": audio,
    "file": file,
    "location": location,
    "fallback": link,
    "share": shared_post,
    "post": shared_post,
    "ig_post": shared_post,
    "reel": shared_post,
    "ig_reel": shared_post,
    "story_mention": story_mention,
    "template": template,
}

WORDED = frozenset({"fallback", "share", "post", "ig_post", "reel", "ig_reel", "story_mention", "template"})
"""Attachments that say what the words beside them are about."""
