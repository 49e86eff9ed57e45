"""Files of a message: addresses, base64 in the body, or parts of a multipart form."""

from __future__ import annotations

import base64
import binascii
import re
from mimetypes import MimeTypes
from typing import Any
from urllib.parse import urlsplit

from connectors.webhook.items import Item, found_at
from connectors.webhook.settings import MappingSettings
from omnibus.channel.events import Media
from omnibus.model.content import AttachmentRef, Audio, Content, File, Image, Video

MAX_FILES = 50
_ANY = "application/octet-stream"
_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_TYPES = MimeTypes(filenames=())  # not the machine's own tables: a mapping gives the same everywhere
_KINDS: dict[str, type[Image | Audio | Video]] = {"image": Image, "audio": Audio, "video": Video}


def files_of(item: Item, mapping: MappingSettings) -> tuple[Media, ...]:
    """At most 50 files; an entry that is neither address nor content is passed over."""
    found: Any = next(found_at(item.data, mapping.attachments), [])
    listed = found if isinstance(found, list) else [found]
    named = [media for entry in listed[:MAX_FILES] if (media := _media(entry)) is not None]
    sent = [
        Media(mime=_mime(part.content_type, part.file_name), data=part.data, file_name=_name(part.file_name))
        for part in item.files
        if part.data
    ]
    return (*named, *sent)[:MAX_FILES]


def content_of_file(mime: str) -> Content:
    """What a message without words says: its first file."""
    kind = _KINDS.get(mime.partition("/")[0])
    return File(attachment_id="0") if kind is None else kind(attachment_id="0")


def _media(entry: Any) -> Media | None:
    if isinstance(entry, str):
        return _linked(entry, None, None, None)
    if not isinstance(entry, dict):
        return None
    name = _text(entry, "name", "file_name", "filename")
    mime = _text(entry, "mime", "mime_type", "content_type", "type")
    url = _text(entry, "url", "href", "link")
    if url is not None:
        size = entry.get("size")
        return _linked(url, mime, name, size if isinstance(size, int) and not isinstance(size, bool) else None)
    content = _text(entry, "content", "data", "base64")
    return None if content is None else _decoded(content, mime, name)


def _linked(url: str, mime: str | None, name: str | None, size: int | None) -> Media | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc or len(url) > 4_096:
        return None
    name = name or parts.path.rpartition("/")[2]
    return Media(
        mime=_mime(mime, name),
        ref=AttachmentRef(scheme="url", uri=url),
        file_name=_name(name),
        size=size if size is not None and 0 <= size < 2**63 else None,
    )


def _decoded(content: str, mime: str | None, name: str | None) -> Media | None:
    try:
        data = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Media(mime=_mime(mime, name), data=data, file_name=_name(name)) if data else None


def _mime(given: str | None, name: str | None) -> str:
    declared = (given or "").partition(";")[0].strip().lower()
    if _MIME.fullmatch(declared):
        return declared
    return _TYPES.guess_type(f"file:{(name or '')[-100:]}")[0] or _ANY


def _name(name: str | None) -> str | None:
    """The last part only: a name is not a path."""
    bare = re.split(r"[/\\]", name or "")[-1].strip()
    return bare[-200:] or None


def _text(entry: dict[str, Any], *keys: str) -> str | None:
    return next((entry[key] for key in keys if isinstance(entry.get(key), str) and entry[key]), None)
