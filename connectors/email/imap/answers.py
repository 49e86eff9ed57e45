"""What an IMAP server says, read into our words. Pure: lines in, structs out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any

import msgspec

from connectors.email.imap.uids import MAX_UID, Range

_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_DATE = re.compile(rb'\bINTERNALDATE "([^"]{10,40})"')
_FETCH = re.compile(rb"\d+ FETCH \(")
_VANISHED = re.compile(rb"VANISHED (?:\(EARLIER\) )?([\d:,]+)$", re.IGNORECASE)


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder says of itself. `next_uid` is the UID its next mail will have at least.

    modseq: the number of its latest change, 0 where the server counts none (RFC 7162).
    vanished, changed: the UIDs that are gone, and those that are new or have other flags, since the change asked about.
    """

    validity: int
    next_uid: int
    modseq: int = 0
    vanished: tuple[Range, ...] = ()
    changed: tuple[int, ...] = ()


class Since(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked when a folder is opened again: what became of `known` since the change `modseq`."""

    validity: int
    modseq: int
    known: tuple[Range, ...]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A mail without its text. `at` is when it arrived, in seconds since 1970; 0 when the server does not say."""

    uid: int
    size: int
    at: int
    header: bytes = b""
    body: bytes | None = None


class Literal:
    """Bytes that a server sends as they are: written as they come, and given away without a copy."""

    def __init__(self) -> None:
        self._data = BytesIO()

    def write(self, piece: bytes) -> None:
        self._data.write(piece)

    def data(self) -> bytes:
        return self._data.getvalue()


def selected(lines: Sequence[bytes]) -> Selected | None:
    """The answer to SELECT or STATUS; None when the server does not number its mails."""
    text = b" ".join(lines)
    validity = re.search(rb"UIDVALIDITY (\d+)", text)
    following = re.search(rb"UIDNEXT (\d+)", text)
    if validity is None or following is None:
        return None
    modseq = re.search(rb"\[HIGHESTMODSEQ (\d+)\]", text)
    return Selected(
        validity=int(validity.group(1)),
        next_uid=int(following.group(1)),
        modseq=int(modseq.group(1)) if modseq else 0,
        vanished=tuple(_vanished(lines)),
        changed=tuple(int(found.group(1)) for line in lines if _FETCH.match(line) and (found := _UID.search(line))),
    )


def _vanished(lines: Sequence[bytes]) -> Iterator[Range]:
    for line in lines:
        if (found := _VANISHED.match(line)) is None:
            continue
        for piece in found.group(1).split(b","):
            ends = sorted(int(end) for end in piece.split(b":") if end and len(end) <= 10)
            if ends and ends[-1] <= MAX_UID:
                yield ends[0], ends[-1]


def mails(lines: Sequence[Any], *, header: bool) -> list[Listed]:
    """The answers to a FETCH: a line, and for each literal its bytes and the rest of the line.

    Beside them a server may tell that flags have changed: that is no answer.
    """
    found: list[Listed] = []
    text, literal = b"", None
    for line in [*lines, b"0 FETCH ("]:
        if isinstance(line, Literal):
            literal = line
        elif _FETCH.match(line):
            uid = _UID.search(text)
            if uid is not None and (literal is not None or _SIZE.search(text) is not None):
                found.append(_listed(int(uid.group(1)), text, literal, header=header))
            text, literal = line, None
        else:
            text += b" " + line
    return found


def _listed(uid: int, text: bytes, literal: Literal | None, *, header: bool) -> Listed:
    size, date = _SIZE.search(text), _DATE.search(text)
    data = literal.data() if literal is not None else None
    return Listed(
        uid=uid,
        size=int(size.group(1)) if size else 0,
        at=_seconds(date.group(1).decode("ascii", "replace")) if date else 0,
        header=(data or b"") if header else b"",
        body=None if header else data,
    )


def _seconds(date: str) -> int:
    try:
        return int(parsedate_to_datetime(date.strip().replace("-", " ", 2)).timestamp())
    except (ValueError, OverflowError):
        return 0
