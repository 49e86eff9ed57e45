"""A mail's bytes into a tree of parts. Bodies are places in it: nothing is copied or decoded before somebody asks.

Own code instead of the standard library's feed parser, which goes line by line and ends a header block at the first
bad line. The work is linear in the input: each nesting level looks at its bytes once, and levels are capped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from connectors._shared.mime.headers import Headers, split_block
from connectors._shared.mime.params import first_token, media_type, parameters
from connectors._shared.mime.transfer import Pieces, decode_transfer, in_pieces, is_identity

MAX_DEPTH = 30
MAX_PARTS = 1_000

_GUESSED_BOUNDARY = re.compile(rb"(?m)^--([!-~][ -~]{0,99}?)[ \t]*\r?$")
_LINE_ENDS = re.compile(rb"[\r\n]*")
_NOT_BLANK = re.compile(rb"\S")
_MESSAGE_TYPES = frozenset({"message/rfc822", "message/news", "message/global"})


@dataclass(slots=True, eq=False)
class Part:
    """One part. `content_type` is never empty. Its body is `source` from `start` to `end`."""

    headers: Headers
    content_type: str
    params: dict[str, str]
    source: bytes
    start: int
    end: int
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

    @property
    def size(self) -> int:
        """Bytes the body takes in the mail."""
        return self.end - self.start

    @property
    def data(self) -> bytes:
        """The body, still in its transfer encoding."""
        return self.source[self.start : self.end]

    def decoded(self) -> bytes:
        """The body's bytes, transfer encoding undone."""
        return decode_transfer(self.data, self.encoding)

    def pieces(self) -> Pieces | None:
        """The same piece by piece, for a large file; None where that cannot be done."""
        return in_pieces(self.source, self.start, self.end, self.encoding)

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
    return _Parser().message(data, 0, len(data), 0)


class _Parser:
    """Counts the parts of one mail."""

    def __init__(self) -> None:
        self._parts = 0

    def message(self, data: bytes, start: int, end: int, depth: int) -> Part:
        part = self._part(data, start, end, depth, "text/plain")
        self._set_hints(part)
        return part

    def _set_hints(self, root: Part) -> None:
        """Raw 8-bit headers are in the charset that the mail's text declares, if any."""
        declared = next((part.params["charset"] for part in root.walk() if part.params.get("charset")), None)
        for part in root.walk():
            if part.headers.hint is None:
                part.headers.hint = declared

    # Places instead of slices: a copy for each level would be the whole mail, several times.
    def _part(self, data: bytes, start: int, end: int, depth: int, default_type: str) -> Part:
        self._parts += 1
        headers, body = split_block(data, start, end)
        raw_type = headers.raw("content-type")
        said = media_type(raw_type)
        part = Part(
            headers=headers,
            content_type=said or _bare_type(raw_type) or default_type,
            params=parameters(raw_type),
            source=data,
            start=body,
            end=end,
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
            for start, end in _pieces(part, boundary) if boundary else ():
                if self._parts >= MAX_PARTS:
                    break
                part.children.append(self._part(part.source, start, end, part.depth + 1, default))
            if not part.children and not _is_blank(part.source, part.start, part.end):
                # No boundary in it: what there is may be text, and is not thrown away.
                place = (part.source, part.start, part.end)
                part.children.append(Part(Headers([]), "text/plain", {}, *place, part.depth + 1, defaulted=True))
        elif part.is_message and self._parts < MAX_PARTS:
            inner = self._enclosed(part)
            if inner.headers.fields:  # without a single field it is no mail, whatever it is called
                part.children.append(inner)

    def _enclosed(self, part: Part) -> Part:
        if is_identity(part.encoding):
            start = _after_line_ends(part.source, part.start, part.end)
            return self.message(part.source, start, part.end, part.depth + 1)
        data = part.decoded().lstrip(b"\r\n")
        return self.message(data, 0, len(data), part.depth + 1)


def _after_line_ends(data: bytes, start: int, end: int) -> int:
    found = _LINE_ENDS.match(data, start, end)
    return found.end() if found else start


def _is_blank(data: bytes, start: int, end: int) -> bool:
    return _NOT_BLANK.search(data, start, end) is None


def _bare_type(value: str | None) -> str | None:
    """Some mailers write `text` alone, or `html`."""
    return {"text": "text/plain", "html": "text/html"}.get(first_token(value))


def _boundary(part: Part) -> bytes | None:
    """The declared boundary if it occurs, else the first line that looks like one."""
    declared = part.params.get("boundary", "").encode("utf-8", "replace").rstrip()
    if declared and part.source.find(b"--" + declared, part.start, part.end) >= 0:
        return declared
    guess = _GUESSED_BOUNDARY.search(part.source, part.start, part.end)
    return guess.group(1) if guess else None


def _pieces(part: Part, boundary: bytes) -> Iterator[tuple[int, int]]:
    """What is between the boundary's lines; the last piece may lack its end."""
    data, mark = part.source, b"--" + boundary
    start: int | None = None
    at = _next_mark(part, mark, part.start)
    while at >= 0:
        if start is not None:
            yield start, _without_line_end(data, at, start)
        end_of_line = data.find(b"\n", at, part.end)
        closing = data.startswith(b"--", at + len(mark), part.end)
        start = None if closing or end_of_line < 0 else end_of_line + 1
        if start is None:
            return
        at = _next_mark(part, mark, start)
    if start is not None and not _is_blank(data, start, part.end):
        yield start, _without_glued_end(part, mark, start)


def _without_glued_end(part: Part, mark: bytes, start: int) -> int:
    """Where the last piece ends: some mailers write the closing delimiter right behind its text."""
    found = part.source.rfind(mark + b"--", start, part.end)
    is_last = found > start and _is_blank(part.source, found + len(mark) + 2, part.end)
    return found if is_last else part.end


def _next_mark(part: Part, mark: bytes, at: int) -> int:
    """Where the next line begins that is the mark, with `--` or blanks behind it at most."""
    data = part.source
    while (found := data.find(mark, at, part.end)) >= 0:
        after = found + len(mark)
        rest = data[after : min(after + 2, part.end)]
        begins = found == part.start or data[found - 1] == 10
        if begins and (not rest or rest[:1] in b"\r\n \t" or rest == b"--"):
            return found
        at = after
    return -1


def _without_line_end(data: bytes, at: int, start: int) -> int:
    if at > start and data[at - 1] == 10:
        at -= 1
        if at > start and data[at - 1] == 13:
            at -= 1
    return at
