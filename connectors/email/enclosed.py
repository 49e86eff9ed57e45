"""Files that are not parts of their own: uuencoded in the text, or wrapped in Outlook's `winmail.dat` (TNEF)."""

from __future__ import annotations

import mimetypes
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from connectors._shared.mime.charset import decode
from connectors._shared.mime.transfer import decode_uu

MAX_FILES = 100

# Lines of uuencoded data have no lower-case letters, so no two blocks can run into each other.
_UU = re.compile(r"^begin [0-7]{3,4} ([^\n]{1,200})\n((?:[ -`]{1,70}\n)+)end[ \t]*(?:\n|\Z)", re.MULTILINE)

_SIGNATURE = 0x223E9F78
# [MS-OXTNEF] section 2.1.3.3: the attributes of attachments.
_RENDERING, _TITLE, _DATA = 0x00069002, 0x00018010, 0x0006800F
_HEADER = struct.Struct("<BII")


@dataclass(frozen=True)
class Enclosed:
    """A file and what it is called."""

    name: str
    data: bytes

    @property
    def mime(self) -> str:
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"


def without_uuencoded(text: str) -> tuple[str, list[Enclosed]]:
    """The text without its uuencoded files, and those files."""
    if "begin " not in text:
        return text, []
    files: list[Enclosed] = []

    def taken(found: re.Match[str]) -> str:
        if len(files) >= MAX_FILES:
            return found.group()
        files.append(Enclosed(found.group(1).strip(), decode_uu(found.group(2).encode("ascii", "replace"))))
        return ""

    return _UU.sub(taken, text), files


def files_in_tnef(data: bytes) -> list[Enclosed]:
    """The files in a TNEF stream; what is damaged ends the list. Formatted text and properties are left out."""
    found: list[Enclosed] = []
    name = ""
    for tag, value in _attributes(data):
        if tag == _RENDERING:
            name = ""
        elif tag == _TITLE:
            name = decode(value.rstrip(b"\0"), None)
        elif tag == _DATA and len(found) < MAX_FILES:
            found.append(Enclosed(name or f"file{len(found) + 1}", value))
    return found


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    if len(data) < 6 or struct.unpack_from("<I", data)[0] != _SIGNATURE:
        return
    at = 6  # the signature and a key
    while at + _HEADER.size <= len(data):
        _, tag, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        if at + length > len(data):
            return
        yield tag, data[at : at + length]
        at += length + 2  # a checksum that nobody needs
