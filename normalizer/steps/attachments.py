"""Attachments: bytes that came along go to the blob store; references are left to the media worker."""

from __future__ import annotations

import msgspec

from normalizer.work import Work
from omnibus.channel.events import Edit, Message
from omnibus.channel.events import Media as MappedMedia
from omnibus.model import ids
from omnibus.model.content import Attachment, AttachmentRef, Content, Email, Media

OBJECT = "object"
PENDING_HEADER = ("ce_media", b"pending")
"""On events whose attachments the media worker has still to fetch, so that it need not decode the others."""


def attachments_of(work: Work, message: Message | Edit, message_id: str) -> tuple[Attachment, ...]:
    """The unified attachments of a mapped message, with derived ids in their order."""
    return tuple(
        _attachment(work, media, ids.attachment_id(message_id, index))
        for index, media in enumerate(message.attachments)
    )


def _attachment(work: Work, media: MappedMedia, attachment_id: str) -> Attachment:
    size, ref, state = media.size, media.ref, "pending"
    sha256 = None
    if (held := media.data if media.data is not None else media.chunks) is not None:
        ref = AttachmentRef(scheme=OBJECT, uri=work.ctx.save_blob(held))
        size = len(held) if isinstance(held, bytes) else held.size
    if ref is not None and ref.scheme == OBJECT:
        state = "stored"
        sha256 = ref.uri.rpartition(":")[2]
    elif ref is None:
        state = "expired"
    elif not work.account.channel.capabilities.media_cache_allowed:
        state = "external"
    return Attachment(
        id=attachment_id,
        mime=media.mime,
        state=state,
        file_name=media.file_name,
        size=size,
        sha256=sha256,
        ref=ref,
        content_id=media.content_id,
        inline=media.inline,
    )


def content_of(work: Work, message: Message | Edit, attachments: tuple[Attachment, ...]) -> Content:
    """The message's content with our attachment ids in place of the mapping's indexes, and HTML kept by reference."""
    content = message.content
    if isinstance(content, Media):
        index = int(content.attachment_id)
        return msgspec.structs.replace(content, attachment_id=attachments[index].id)
    if isinstance(message, Message) and isinstance(content, Email) and message.html is not None:
        return msgspec.structs.replace(content, html_ref=work.ctx.save_blob(message.html))
    return content


def pending(attachments: tuple[Attachment, ...]) -> bool:
    """Whether the media worker has something to fetch."""
    return any(attachment.state == "pending" for attachment in attachments)
