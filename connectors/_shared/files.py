"""Files of a message on their way out."""

from __future__ import annotations

from collections.abc import Iterable

from omnibus.blobs import BlobMissing, BlobStore
from omnibus.errors import Refused
from omnibus.http import Part
from omnibus.model.content import Attachment, AttachmentRef, Media
from omnibus.model.entities import Message

_UNREACHABLE = frozenset({"expired", "blocked", "too_large"})


def files_of(message: Message) -> tuple[Attachment, ...]:
    """The attachments in the order they are to be sent: the one the content names comes first.

    Raises Refused when the content names one that is not there.
    """
    if not isinstance(message.content, Media):
        return message.attachments
    first = named(message, message.content.attachment_id)
    return (first, *(one for one in message.attachments if one is not first))


def named(message: Message, attachment_id: str) -> Attachment:
    """The attachment a content names. Raises Refused when the message has none of that name."""
    for attachment in message.attachments:
        if attachment.id == attachment_id:
            return attachment
    raise Refused("MEDIA_NOT_REACHABLE", "the message names an attachment that it does not have")


def stored(files: Iterable[Attachment]) -> list[Attachment]:
    """The files whose bytes we have, or should have."""
    return [file for file in files if file.ref is None or file.ref.scheme != "url"]


def addresses(files: Iterable[Attachment]) -> str:
    """The addresses of the files that are somewhere else, each in a line: whoever wants them can follow them."""
    return "\n".join(file.ref.uri for file in files if file.ref is not None and file.ref.scheme == "url")


def mime_of(attachment: Attachment) -> str:
    """The bare media type."""
    return attachment.mime.partition(";")[0].strip().lower()


def reference(attachment: Attachment, max_bytes: int) -> AttachmentRef:
    """Where the bytes are. Raises Refused when they are nowhere, or too many."""
    if attachment.ref is None or attachment.state in _UNREACHABLE:
        raise Refused("MEDIA_NOT_REACHABLE", "the bytes of an attachment are not there")
    if (attachment.size or 0) > max_bytes:
        raise _too_large(attachment, max_bytes)
    return attachment.ref


async def bytes_of(blobs: BlobStore, attachment: Attachment, max_bytes: int) -> bytes:
    """The bytes of a stored file. Its size is counted, whatever the attachment says. Raises Refused."""
    ref = reference(attachment, max_bytes)
    if ref.scheme != "object":
        raise Refused("MEDIA_NOT_REACHABLE", "the file is not in the store")
    data = bytearray()
    try:
        async for chunk in blobs.open(ref.uri):
            data += chunk
            if len(data) > max_bytes:
                raise _too_large(attachment, max_bytes)
    except BlobMissing as missing:
        raise Refused("MEDIA_NOT_REACHABLE", str(missing)) from None
    return bytes(data)


async def part_of(blobs: BlobStore, field: str, attachment: Attachment, max_bytes: int) -> Part:
    """The stored file as a field of a form. Raises Refused."""
    data = await bytes_of(blobs, attachment, max_bytes)
    return Part(name=field, value=data, file_name=safe_name(attachment, field), content_type=mime_of(attachment))


def safe_name(attachment: Attachment, otherwise: str = "file") -> str:
    """A name that fits into a header or an address, whatever somebody called the file."""
    given = attachment.file_name or ""
    name = "".join("_" if sign in '"\\/' or not sign.isprintable() else sign for sign in given)
    return name[:200].strip(". ") or otherwise


def _too_large(attachment: Attachment, max_bytes: int) -> Refused:
    return Refused("MEDIA_TOO_LARGE", f"the channel takes at most {max_bytes} bytes of {mime_of(attachment)}")
