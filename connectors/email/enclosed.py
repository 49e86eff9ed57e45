"""Files that are not parts of their own: uuencoded in the text, or wrapped in another file."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass

from connectors._shared.mime.transfer import decode_uu

MAX_FILES = 100

# Lines of uuencoded data have no lower-case letters, so no two blocks can run into each other.
_UU = re.compile(r"^begin [0-7]{3,4} ([^\n]{1,200})\n((?:[ -`]{1,70}\n)+)end[ \t]*(?:\n|\Z)", re.MULTILINE)


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
