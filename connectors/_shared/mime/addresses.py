"""Address lists of header fields, by the standard's grammar where it holds and by what was meant where not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from connectors._shared.mime.words import decode_words

MAX_ADDRESSES = 1_000
MAX_TOKENS = 20_000
"""Words and signs of one field: a thousand addresses with names have fewer."""
MAX_LENGTH = 320
"""RFC 5321 section 4.5.3.1: 64 for the local part, 255 for the domain, and the sign between."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.){0,500}"|<[^<>]*>|[(),;:]|[^"<(),;:]+|["<]', re.DOTALL)
_MAX_NAMES = 2_000
_BARE = re.compile(r"[^\s<>()\"',;:]+@[^\s<>()\"',;:]+")
_COMMENT = re.compile(r"\([^()]*\)")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: what it is called, and its address as written (case kept)."""

    name: str | None
    email: str

    @property
    def normalized(self) -> str:
        """What equal mailboxes share. Local parts are case-insensitive everywhere that matters."""
        return self.email.lower()

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2].lower()


@dataclass(slots=True)
class _Entry:
    """What has been read of one list entry."""

    words: list[str] = field(default_factory=list)
    angle: str | None = None
    comments: list[str] = field(default_factory=list)
    has_at: bool = False

    def add(self, word: str) -> None:
        self.words.append(word)
        self.has_at = self.has_at or "@" in word

    @property
    def text(self) -> str:
        return _BLANKS.sub(" ", "".join(self.words)).strip()


def parse_addresses(values: Iterable[str]) -> list[Address]:
    """All mailboxes in these raw field values, in order; groups are taken apart, what is no address is left out."""
    found: list[Address] = []
    for value in values:
        for entry in _joined_names(_entries(value)):
            address = _address(entry)
            if address is not None:
                found.append(address)
            if len(found) >= MAX_ADDRESSES:
                return found
    return found


def names_without_address(values: Iterable[str]) -> list[str]:
    """What entries that name no mailbox say (`From: Whomever`), decoded."""
    texts = (
        _name(entry.text)
        for value in values
        for entry in _joined_names(_entries(value[:_MAX_NAMES]))
        if _is_name(entry)
    )
    return [text[:MAX_LENGTH] for text in texts if text]


def _is_name(entry: _Entry) -> bool:
    return entry.angle is None and not entry.has_at and "=?" not in entry.text


def first_address(values: Iterable[str]) -> Address | None:
    """The first mailbox, if there is one."""
    return next(iter(parse_addresses(values)), None)


def _entries(value: str) -> Iterator[_Entry]:
    entry = _Entry()
    comment: list[str] = []
    depth = 0
    for lexeme in islice(map(re.Match.group, _TOKEN.finditer(value)), MAX_TOKENS):
        if lexeme == "(":
            depth += 1
        elif lexeme == ")":
            depth = max(0, depth - 1)
            if depth == 0 and comment:
                entry.comments.append("".join(comment).strip())
                comment = []
        elif depth:
            comment.append(lexeme)
        elif lexeme in ",;":
            yield entry
            entry = _Entry()
        elif lexeme == ":" and not entry.has_at:
            entry = _Entry()  # the name of a group
        elif lexeme[0] == "<" and len(lexeme) > 1:
            entry.angle = lexeme[1:-1]
        else:
            entry.add(lexeme)
    if comment:
        entry.comments.append("".join(comment).strip())
    yield entry


def _joined_names(entries: Iterable[_Entry]) -> Iterator[_Entry]:
    """`Doe, Ana <ana@example.com>`: a name with an unquoted comma is one name."""
    waiting: _Entry | None = None
    for entry in entries:
        if waiting is not None and entry.angle is not None and not entry.has_at:
            entry.words = [*waiting.words, ",", *entry.words]
        elif waiting is not None:
            yield waiting
        waiting = None
        if entry.angle is None and entry.words and not entry.has_at and "=?" not in entry.text:
            waiting = entry
        else:
            yield entry
    if waiting is not None:
        yield waiting


def _address(entry: _Entry) -> Address | None:
    text = entry.text
    comment = decode_words(" ".join(entry.comments)) or None
    if entry.angle is not None and "@" in entry.angle:
        return _checked(_name(text) or comment, entry.angle)
    bare = _BARE.search(text)
    if bare is not None:
        rest = (text[: bare.start()] + text[bare.end() :]).strip("'\" ")
        return _checked(_name(rest) or comment, bare.group())
    if "=?" in text or "=?" in (entry.angle or ""):
        # The whole entry, address and all, was made an encoded word.
        decoded = decode_words(f"{text} <{entry.angle}>" if entry.angle else text)
        if "=?" not in decoded:
            return next(iter(parse_addresses([decoded])), None)
    return _checked(_name(text) or comment, entry.angle) if entry.angle else None


def _name(text: str) -> str | None:
    """The display name: quotes and escapes gone, encoded words decoded."""
    stripped = text.strip()
    if '"' in stripped:
        stripped = re.sub(r'"((?:[^"\\]|\\.)*)"', lambda found: re.sub(r"\\(.)", r"\1", found.group(1)), stripped)
    decoded = _BLANKS.sub(" ", decode_words(stripped)).strip()
    if len(decoded) > 1 and decoded[0] == decoded[-1] and decoded[0] in "'\"":
        decoded = decoded[1:-1].strip()
    return decoded or None


def _checked(name: str | None, email: str) -> Address | None:
    address = _COMMENT.sub("", decode_words(email)).strip().removeprefix("mailto:").strip("<>'\" ")
    if address.startswith("@") and ":" in address:
        address = address.partition(":")[2]  # an obsolete route: <@relay.example.com:ana@example.com>
    address = _BLANKS.sub("", address)
    if not address or len(address) > MAX_LENGTH:
        return None
    return Address(name=name, email=address)
