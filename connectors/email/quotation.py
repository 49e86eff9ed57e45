"""Recognises where a quotation begins: attribution lines, quoted header blocks, and lines between dashes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from connectors.email.quotation_words import LANGUAGES, Words

FieldKind = Literal["sender", "sent", "to", "cc", "subject"]
KINDS: tuple[FieldKind, ...] = ("sender", "sent", "to", "cc", "subject")

MAX_ATTRIBUTION_LINES = 6
MAX_ATTRIBUTION = 500
_MAX_BLOCK_LINES = 30


def _words(pick: str) -> list[str]:
    found = {word for words in LANGUAGES.values() for word in getattr(words, pick)}
    # The longest first, so that no word hides a longer one that begins with it.
    return sorted(found, key=lambda word: (-len(word), word))


def _alternatives(words: Sequence[str]) -> str:
    return "|".join(re.escape(word) for word in words)


def _field_names() -> dict[str, FieldKind]:
    names: dict[str, FieldKind] = {}
    for words in LANGUAGES.values():
        _add_names(names, words)
    return names


def _add_names(names: dict[str, FieldKind], words: Words) -> None:
    for kind in KINDS:
        for name in getattr(words, kind):
            names.setdefault(name.casefold(), kind)


_FIELD_NAMES = _field_names()
FIELD_NAME = _alternatives(
    sorted(
        {*_words("sender"), *_words("sent"), *_words("to"), *_words("cc"), *_words("subject")},
        key=lambda word: (-len(word), word),
    )
)
# The name is looked up afterwards: an alternation of all names would be tried on every line of every mail.
_FIELD = re.compile(r"^[ \t>*_|\ufeff]{0,20}([^\s:：>*_|][^:：]{0,40}?)[ \t*_\u00a0]{0,10}[:：][ \t*_\u00a0]*(.*)$")
_INNER_FIELD = re.compile(rf"(?<=[\s>;])({FIELD_NAME}) ?[:：]\s", re.IGNORECASE)

_START_WORDS = _alternatives(_words("starts"))
_START = re.compile(rf"^[\W_]{{0,12}}(?:{_START_WORDS})\b", re.UNICODE)
# Inside a line only where a date follows at once: "thanks! On Wed, Apr 4 ..."
_INNER_START = re.compile(rf"(?<=[\s-])(?:{_START_WORDS}) (?=(?:\w{{2,12}}[.,]{{1,2}} ?)?(?:\w{{2,10}}\.? )?\d)")
_VERBS = _alternatives(_words("verbs"))
_VERB_ENDS = tuple(sorted({verb.casefold() for verb in _words("verbs")}))
_VERBS_BY_END = {
    last: sorted((verb for verb in _VERB_ENDS if verb[-1] == last), key=len, reverse=True)
    for last in {verb[-1] for verb in _VERB_ENDS}
}
_VERB = re.compile(rf"(?:^|[\s>)\]\"»”])(?:{_VERBS})\b", re.IGNORECASE)
_DATE = re.compile(
    r"\d{1,2}[:.h]\d{2}|\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\b(?:19|20)\d{2}\b|\d{4}年|\d{4}년|\d{1,2}:\d{2}"
)
_DATE_START = re.compile(r"^[\W_]{0,8}(?:\w{1,12}[.,]{0,2} ){0,2}\d{1,4}(?:[./-]\d{1,2}[./-]\d{1,4}|[年년.]| \w)")
_MAIL = re.compile(r"[<(\[ ][^\s<>()\[\]]{1,100}@[^\s<>()\[\]]{1,100}[>)\]]?")
_DATE_AND_MAIL = re.compile(r"^\W{0,3}\d{4}[/-]\d{1,2}[/-]\d{1,2}\s.{0,120}<[^<>\s]{1,100}@[^<>\s]{1,100}>:?$")

_DASHES = r"[ \t>*_=\u2014-]"
_ORIGINAL = re.compile(
    rf"^{_DASHES}{{0,60}}[-_=*]{{2,}}[ \t*]{{0,5}}(?:{_alternatives(_words('original'))})"
    rf"[ \t*]{{0,5}}:?{_DASHES}{{0,60}}$",
    re.IGNORECASE,
)
_ORIGINAL_WORDS = frozenset(word.casefold() for word in _words("original"))
_FORWARDED = re.compile(
    rf"^[ \t>*_-]{{0,60}}(?:{_alternatives(_words('forwarded'))})[ \t]?(?P<end>[-:*_]|/)", re.IGNORECASE
)
_WROTE_BETWEEN_DASHES = re.compile(rf"^\s{{0,5}}-{{2,}}[^\n]{{1,200}}?\b(?:{_VERBS})\s?:?\s?-{{2,}}\s*$", re.IGNORECASE)
_DIVIDER = re.compile(r"^[ \t>]{0,10}[-_*=\u2014]{5,}[ \t]*$")


@dataclass(frozen=True)
class Attribution:
    """`On Monday, Ana wrote:` from a line to the line before `end`; `prefix` is the author's text on its first line."""

    end: int
    text: str
    prefix: str = ""


@dataclass
class HeaderBlock:
    """Quoted header fields from a line to the line before `end`."""

    end: int
    fields: dict[FieldKind, str] = field(default_factory=dict)


def is_original_mark(line: str) -> bool:
    """`-----Original Message-----`, in any language, or `---- Ana wrote ----`."""
    if len(line) > 300 or not set(line) & set("-_=*"):
        return False
    bare = line.strip("-_=*: \t>\u2014").casefold()
    if bare not in _ORIGINAL_WORDS and not bare.endswith(_VERB_ENDS):
        return False  # a cheap look: most lines with dashes are rules and lists
    return _ORIGINAL.match(line) is not None or _WROTE_BETWEEN_DASHES.match(line) is not None


def is_forward_mark(line: str) -> bool:
    """`---------- Forwarded message ----------` or `Begin forwarded message:`, in any language."""
    if len(line) > 2_000:
        return False
    found = _FORWARDED.match(line)
    return found is not None and (found.group("end") in ":/" or line.lstrip(" \t>").startswith("-"))


def is_divider(line: str) -> bool:
    """A line of dashes or underscores."""
    return len(line) <= 300 and _DIVIDER.match(line) is not None


def field_at(line: str) -> tuple[FieldKind, str] | None:
    """Kind and value of a quoted header field."""
    if len(line) > 2_000 or (":" not in line and "：" not in line):
        return None
    found = _FIELD.match(line)
    if found is None:
        return None
    kind = _FIELD_NAMES.get(found.group(1).casefold())
    return (kind, found.group(2).strip(" \t*_\u00a0")) if kind is not None else None


def header_block_at(lines: Sequence[str], at: int) -> HeaderBlock | None:
    """The header block that begins at this line. Two fields of different kinds and an address or a subject make one:
    "From: London / To: Paris" is somebody's journey."""
    if field_at(lines[at]) is None or (at and field_at(lines[at - 1]) is not None):
        return None  # a block begins with its first field: later ones are not tried again
    block = HeaderBlock(end=at)
    for kind, value, end in _fields_from(lines, at):
        block.end = end
        for inner_kind, inner_value in _fields_on_one_line(kind, value):
            block.fields.setdefault(inner_kind, inner_value)
    kinds = set(block.fields)
    if len(kinds) < 2 or not kinds & {"sender", "sent"}:
        return None
    has_address = any("@" in value for value in block.fields.values())
    return block if has_address or ("subject" in kinds and len(kinds) > 2) else None


def _fields_from(lines: Sequence[str], at: int) -> Iterator[tuple[FieldKind, str, int]]:
    stop = min(len(lines), at + _MAX_BLOCK_LINES)
    seen: set[FieldKind] = set()
    while at < stop:
        found = field_at(lines[at])
        if found is None:
            if not _is_blank(lines[at]) or not _field_within(lines, at + 1, stop, 1):
                return
            at += 1
            continue
        kind, value = found
        if kind in seen:
            return
        seen.add(kind)
        at += 1
        while at < stop and _continues(lines, at, stop, value):
            value = f"{value} {_unquoted(lines[at])}"
            at += 1
        yield kind, value, at


def _fields_on_one_line(kind: FieldKind, value: str) -> Iterator[tuple[FieldKind, str]]:
    """A field, and those that lost their line break: `ana@example.com Date: ...`."""
    at = 0
    for found in _INNER_FIELD.finditer(value):
        yield kind, value[at : found.start()].strip()
        kind = _FIELD_NAMES[found.group(1).casefold()]
        at = found.end()
    yield kind, value[at:].strip()


def _continues(lines: Sequence[str], at: int, stop: int, value: str) -> bool:
    """Whether a line still belongs to the value: it was wrapped, or a field follows after it."""
    line = _unquoted(lines[at])
    if not line or field_at(lines[at]) is not None:
        return False
    is_open = value.count("<") > value.count(">") or value.count("[") > value.count("]") or value.endswith((",", ";"))
    return not value or is_open or _field_within(lines, at + 1, stop, 1)


def _field_within(lines: Sequence[str], at: int, stop: int, count: int) -> bool:
    return any(field_at(line) is not None for line in lines[at : min(stop, at + count)])


def _is_blank(line: str) -> bool:
    return not line.strip(" \t>\u00a0*_")


def _unquoted(line: str) -> str:
    return line.lstrip(" \t>").rstrip()


def may_be_attribution(lines: Sequence[str], at: int) -> bool:
    """A cheap look whether a closer one is worth while."""
    return bool(lines[at].strip()) and any(map(_may_end, lines[at : at + MAX_ATTRIBUTION_LINES]))


def attribution_at(lines: Sequence[str], at: int) -> Attribution | None:
    """The attribution that begins at this line, wrapped over a few lines perhaps."""
    first = lines[at].strip()
    if not first or len(first) > MAX_ATTRIBUTION or first.startswith(">"):
        return None
    if not any(_may_end(line) for line in lines[at : at + MAX_ATTRIBUTION_LINES]):
        return None
    prefix, begin = _split_prefix(first)
    if not (_START.match(begin) or "@" in begin or _DATE.search(begin)):
        return None
    return _attribution_from(lines, at, prefix, begin)


@lru_cache(maxsize=8_192)
def _may_end(line: str) -> bool:
    """A cheap look at the end of a line, because most lines of most mails are no attribution."""
    bare = line.rstrip(" \t-*_\u2013\u2014>")
    return bare.endswith((":", "：")) or line.rstrip().endswith(">") or bare.casefold().endswith(_VERB_ENDS)


def _attribution_from(lines: Sequence[str], at: int, prefix: str, begin: str) -> Attribution | None:
    joined = begin
    blanks = 0
    for end in range(at + 1, min(len(lines), at + MAX_ATTRIBUTION_LINES) + 1):
        line = lines[end].strip() if end < len(lines) else ""
        if _is_attribution(joined):
            more = not joined.endswith((":", "：")) and line.endswith((":", "：")) and "@" in line and len(line) < 200
            return Attribution(end=end + more, text=f"{joined} {line}" if more else joined, prefix=prefix)
        if _ends_with_verb(joined):
            return None  # a sentence of the author
        blanks += not line
        if (
            blanks > 1
            or (not line and _DATE.search(joined) is None)
            or len(joined) + len(line) > MAX_ATTRIBUTION
            or _ends_paragraph(joined, line)
        ):
            return None
        joined = f"{joined} {line}" if line else joined
    return None


def _ends_paragraph(joined: str, line: str) -> bool:
    """A quoted line cannot continue an attribution, unless it is the end of a wrapped address."""
    return line.startswith(">") and not (joined.count("<") > joined.count(">") and len(line) < 40)


def _split_prefix(line: str) -> tuple[str, str]:
    """`thanks! On Wed, Apr 4, Ana wrote:` is an answer and an attribution on one line."""
    if _START.match(line) or not line.rstrip().endswith((":", "wrote")):
        return "", line
    inner = None
    for found in _INNER_START.finditer(line):
        inner = found
    if inner is None or not _is_attribution(line[inner.start() :]):
        return "", line
    return line[: inner.start()].rstrip(" \t-"), line[inner.start() :]


def _ends_with_verb(text: str) -> bool:
    words = text.rstrip(":： ").casefold()
    if not words.endswith(_VERB_ENDS):
        return False
    verb = next(each for each in _VERBS_BY_END[words[-1]] if words.endswith(each))
    before = words[-len(verb) - 1 : -len(verb)]
    # Languages without blanks between words end in the verb alone.
    return not before or not before.isalnum() or not verb[0].isascii()


def _is_attribution(text: str) -> bool:
    bare = text.strip().rstrip("-\u2013\u2014 *_>").rstrip()
    if _DATE_AND_MAIL.match(text.strip()):
        return True
    has_date = _DATE.search(bare) is not None
    has_mail = _MAIL.search(f" {bare}") is not None
    if _ends_with_verb(bare):
        begins = _START.match(bare) or _DATE_START.match(bare)
        return bool(begins and (has_date or has_mail)) or has_mail
    if bare.endswith((":", "：")) and has_date:
        return has_mail or (_VERB.search(bare) is not None and bool(_START.match(bare) or _DATE_START.match(bare)))
    return False
