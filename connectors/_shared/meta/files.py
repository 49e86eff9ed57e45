"""Files of a message on their way out."""

from __future__ import annotations

from omnibus.blobs import BlobMissing, BlobStore
from omnibus.errors import Refused
from omnibus.http import Part
from omnibus.model.content import Attachment, AttachmentRef
from omnibus.model.entities import Message

_UNREACHABLE = frozenset({"expired", "blocked", "too_large"})


def named(message: Message, attachment_id: str) -> Attachment:
    """The attachment a content names. Raises Refused when the message has none of that name."""
    for attachment in message.attachments:
        if attachment.id == attachment_id:
            return attachment
    raise Refused("MEDIA_NOT_REACHABLE", "the message names an attachment that it does not have")


def mime_of(attachment: Attachment) -> str:
    """The bare media type."""
    return attachment.mime.partition(";")[0].strip().lower()


def reference(attachment: Attachment, max_bytes: int) -> AttachmentRef:
    """Where the bytes are. Raises Refused when they are nowhere, or too many."""
    if attachment.ref is None or attachment.state in _UNREACHABLE:
        raise Refused("MEDIA_NOT_REACHABLE", "the bytes of an attachment are not there")
    if (attachment.size or 0) > max_bytes:
        raise Refused("MEDIA_TOO_LARGE", f"Meta takes at most {max_bytes} bytes of {mime_of(attachment)}")
    return attachment.ref


async def part_of(blobs: BlobStore, field: str, attachment: Attachment, max_bytes: int) -> Part:
    """The stored file as a form field. Its size is counted, whatever the attachment says. Raises Refused."""
    ref = reference(attachment, max_bytes)
    data = bytearray()
    try:
        async for chunk in blobs.open(ref.uri):
            data += chunk
            if len(data) > max_bytes:
                raise Refused("MEDIA_TOO_LARGE", f"Meta takes at most {max_bytes} bytes of {mime_of(attachment)}")
    except BlobMissing as missing:
        raise Refused("MEDIA_NOT_REACHABLE", str(missing)) from None
    name = file_name(attachment) or field
    return Part(name=field, value=bytes(data), file_name=name, content_type=mime_of(attachment))


def file_name(attachment: Attachment) -> str:
    """A name that fits into a header, whatever somebody called the file."""
    return "".join("_" if sign in '"\\/' or not sign.isprintable() else sign for sign in attachment.file_name or "")
