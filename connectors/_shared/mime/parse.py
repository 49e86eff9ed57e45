"""A mail's bytes into a tree of parts. Bodies are slices of the mail: nothing is decoded before somebody asks.

Own code instead of the standard library's feed parser, which goes line by line and ends a header block at the first
bad line. The work is linear in the input: each nesting level looks at its bytes once, and levels are capped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from connectors._shared.mime.headers import Headers, split_block
from connectors._shared.mime.params import first_token, media_type, parameters
from connectors._shared.mime.transfer import decode_transfer

MAX_DEPTH = 30
MAX_PARTS = 1_000

_GUESSED_BOUNDARY = re.compile(rb"(?m)^--([!-~][ -~]{0,99}?)[ \t]*\r?$")
_MESSAGE_TYPES = frozenset({"message/rfc822", "message/news", "message/global"})


@dataclass(slots=True, eq=False)
class Part:
    """One part. `content_type` is never empty; `data` is the body still in its transfer encoding."""

    headers: Headers
    content_type: str
    params: dict[str, str]
    data: bytes
    depth: int
    children: list[Part] = field(default_factory=list)
    defaulted: bool = False

    @property
    def is_multipart(self) -> bool:
        return self.content_type.startswith("multipart/")

    @property
    def is_message(self) -> bool:
        return self.content_type in _MESSAGE_TYPES

    @property
    def disposition(self) -> str:
        """`inline`, `attachment`, another word, or '' when none is given."""
        return first_token(self.headers.raw("content-disposition"))

    @property
    def file_name(self) -> str | None:
        """The name the sender gave the file, from either header."""
        hint = self.headers.hint
        named = parameters(self.headers.raw("content-disposition"), hint)
        return named.get("filename") or self.params.get("name") or named.get("name") or None

    @property
    def content_id(self) -> str | None:
        raw = self.headers.raw("content-id")
        return raw.strip("<> \t") or None if raw else None

    @property
    def encoding(self) -> str:
        return first_token(self.headers.raw("content-transfer-encoding"))

    def decoded(self) -> bytes:
        """The body's bytes, transfer encoding undone."""
        return decode_transfer(self.data, self.encoding)

    def walk(self) -> Iterator[Part]:
        """This part and all below it, depth first."""
        pending = [self]
        while pending:
            part = pending.pop()
            yield part
            pending.extend(reversed(part.children))


def parse(data: bytes) -> Part:
    """The tree of a whole mail. Never raises; what is beyond the caps stays undivided in its part."""
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")
    return _Parser().message(data, 0)


class _Parser:
    """Counts the parts of one mail."""

    def __init__(self) -> None:
        self._parts = 0

    def message(self, data: bytes, depth: int) -> Part:
        part = self._part(data, depth, "text/plain")
        self._set_hints(part)
        return part

    def _set_hints(self, root: Part) -> None:
        """Raw 8-bit headers are in the charset that the mail's text declares, if any."""
        declared = next((part.params["charset"] for part in root.walk() if part.params.get("charset")), None)
        for part in root.walk():
            if part.headers.hint is None:
                part.headers.hint = declared

    def _part(self, data: bytes, depth: int, default_type: str) -> Part:
        self._parts += 1
        headers, body = split_block(data)
        raw_type = headers.raw("content-type")
        said = media_type(raw_type)
        part = Part(
            headers=headers,
            content_type=said or _bare_type(raw_type) or default_type,
            params=parameters(raw_type),
            data=data[body:],
            depth=depth,
            defaulted=said is None,
        )
        if depth < MAX_DEPTH:
            self._divide(part)
        return part

    def _divide(self, part: Part) -> None:
        if part.is_multipart:
            default = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
            boundary = _boundary(part)
            for piece in _pieces(part.data, boundary) if boundary else ():
                if self._parts >= MAX_PARTS:
                    break
                part.children.append(self._part(piece, part.depth + 1, default))
            if not part.children and part.data.strip():
                # No boundary in it: what there is may be text, and is not thrown away.
                part.children.append(Part(Headers([]), "text/plain", {}, part.data, part.depth + 1, defaulted=True))
        elif part.is_message and self._parts < MAX_PARTS:
            inner = self.message(part.decoded().lstrip(b"\r\n"), part.depth + 1)
            if inner.headers.fields:  # without a single field it is no mail, whatever it is called
                part.children.append(inner)


def _bare_type(value: str | None) -> str | None:
    """Some mailers write `text` alone, or `html`."""
    return {"text": "text/plain", "html": "text/html"}.get(first_token(value))


def _boundary(part: Part) -> bytes | None:
    """The declared boundary if it occurs, else the first line that looks like one."""
    declared = part.params.get("boundary", "").encode("utf-8", "replace").rstrip()
    if declared and b"--" + declared in part.data:
        return declared
    guess = _GUESSED_BOUNDARY.search(part.data)
    return guess.group(1) if guess else None


def _pieces(data: bytes, boundary: bytes) -> Iterator[bytes]:
    """What is between the boundary's lines; the last piece may lack its end."""
    mark = b"--" + boundary
    start: int | None = None
    at = _next_mark(data, mark, 0)
    while at >= 0:
        if start is not None:
            yield data[start : _without_line_end(data, at)]
        end_of_line = data.find(b"\n", at)
        closing = data.startswith(b"--", at + len(mark))
        start = None if closing or end_of_line < 0 else end_of_line + 1
        if start is None:
            return
        at = _next_mark(data, mark, start)
    if start is not None and data[start:].strip():
        yield data[start:]


def _next_mark(data: bytes, mark: bytes, at: int) -> int:
    """Where the next line begins that is the mark, with `--` or blanks behind it at most."""
    while (found := data.find(mark, at)) >= 0:
        rest = data[found + len(mark) : found + len(mark) + 2]
        if (found == 0 or data[found - 1] == 10) and (not rest or rest[:1] in b"\r\n \t" or rest == b"--"):
            return found
        at = found + len(mark)
    return -1


def _without_line_end(data: bytes, at: int) -> int:
    if at and data[at - 1] == 10:
        at -= 1
        if at and data[at - 1] == 13:
            at -= 1
    return at
