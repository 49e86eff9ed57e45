"""Forwarded mail inside a text: what the forwarder wrote, and who wrote the mail that is enclosed, when, and what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from connectors._shared.mime.addresses import Address, parse_addresses
from connectors.email.quotation import (
    FIELD_NAME,
    HeaderBlock,
    attribution_at,
    header_block_at,
    is_divider,
    is_forward_mark,
    is_original_mark,
)

MAX_LINES = 5_000
_SEARCH_LINES = 1_000
# "FW:" in the languages people set their mail programs to; Outlook gives no other sign.
_SUBJECT = re.compile(
    r"^\s*(?:fwd?|wg|tr|rv|enc|i|doorst|vs|vb|vl|pd|ilet|i̇let|ilt|пересл|trans|转发|轉寄|転送|전달|edasi|prosl|továbbítás|přeposl|"
    r"redir|videresendt?|fs|vidareb)\.?\s*[:：]\s*(.*)$",
    re.IGNORECASE,
)
_MAILTO = re.compile(r"\[mailto:([^\]\s]{1,320})\]")
_NESTED_MAILTO = re.compile(r"<mailto:[^<>\s]{1,320}>")
_ON_BEHALF = re.compile(r" (?:on behalf of|im auftrag von|em nome de|en nombre de|per conto di|namens) ", re.IGNORECASE)
_FIELD_START = re.compile(rf"(?<=[^\s\n*_])[ \t]?(?=(?:{FIELD_NAME})[ \u00a0]?[:：][ \t])")
_NAME_AND_MAIL = re.compile(
    r"[\"'«„“]?([^\"'«»„“”<>(),]{0,80}?)[\"'»”]?\s?[<(]{1,2}([^<>()\s]{1,100}@[^<>()\s]{1,100})[>)]"
)
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Forward:
    """`message` is the forwarder's own text, `text` the enclosed mail's; `date` is as its program wrote it."""

    message: str
    text: str
    sender: Address | None = None
    subject: str | None = None
    date: str | None = None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()


def read_forward(text: str, subject: str = "") -> Forward | None:
    """The forward in a text; None when it is none. Without a mark in the text the subject must say it."""
    lines = text.lstrip(_BYTE_ORDER_MARK).split("\n")[:MAX_LINES]
    mark = next((index for index, line in enumerate(lines[:_SEARCH_LINES]) if is_forward_mark(line)), None)
    told = _SUBJECT.match(subject)
    if told is not None:
        # A mark behind the first quotation belongs to what was forwarded.
        found = _told_by_subject(lines[:mark], lines, told.group(1).strip())
        if found is not None:
            return found
    return _after_mark(lines, mark) if mark is not None else None


def _after_mark(lines: Sequence[str], mark: int) -> Forward | None:
    line = lines[mark]
    rest = _on_lines_of_their_own(line) + list(lines[mark + 1 :])
    begin = next((index for index, each in enumerate(rest[:6]) if each.strip(" \t>")), 0)
    block = header_block_at(rest, begin) if rest else None
    if block is None:
        return None
    quoted = line.lstrip().startswith(">") or rest[begin].lstrip().startswith(">")
    return _forward(lines[:mark], rest[block.end :], block, quoted=quoted)


def _on_lines_of_their_own(line: str) -> list[str]:
    """Some programs put mark and fields on one line: `----- Forwarded Message ----- From: ... To: ...`."""
    fields = _FIELD_START.split(line.rstrip())
    return [each.strip() for each in fields[1:]] if len(fields) > 2 else []


def _told_by_subject(before_mark: Sequence[str], lines: Sequence[str], subject: str) -> Forward | None:
    for index, line in enumerate(before_mark[:_SEARCH_LINES]):
        if not line.strip():
            continue
        at = _first_written(lines, index + 1) if is_original_mark(line) else index
        block = header_block_at(lines, at)
        if block is not None:
            quoted = lines[at].lstrip().startswith(">")
            return _forward(_without_divider(lines[:index]), lines[block.end :], block, quoted=quoted)
        attribution = attribution_at(lines, index)
        if attribution is not None:
            return _from_attribution(lines[:index], lines[attribution.end :], attribution.text, subject)
    return None


def _first_written(lines: Sequence[str], at: int) -> int:
    """The next line with anything on it, a few lines away at most."""
    return next((index for index in range(at, min(len(lines), at + 5)) if lines[index].strip(" \t>")), at - 1)


def _forward(before: Sequence[str], after: Sequence[str], block: HeaderBlock, *, quoted: bool) -> Forward:
    fields = block.fields
    senders = _addresses(fields.get("sender", ""))
    return Forward(
        message=_joined(before),
        text=_joined([_unquote(line) for line in after] if quoted or _all_quoted(after) else after),
        sender=senders[0] if senders else None,
        subject=fields.get("subject"),
        date=fields.get("sent"),
        to=tuple(_addresses(fields.get("to", ""))),
        cc=tuple(_addresses(fields.get("cc", ""))),
    )


def _from_attribution(before: Sequence[str], after: Sequence[str], text: str, subject: str) -> Forward:
    found = _NAME_AND_MAIL.search(text)
    sender = Address(_only_name(found.group(1)), found.group(2)) if found else None
    quoted = _all_quoted(after)
    body = [_unquote(line) for line in after] if quoted else [line.removeprefix("    ") for line in after]
    return Forward(message=_joined(before), text=_joined(body), sender=sender, subject=subject or None, date=text)


def _only_name(words: str) -> str | None:
    """The name at the end of `28/10/2021 12:46 user Ana Souza`: what follows the date and words in lower case."""
    kept: list[str] = []
    for word in reversed(words.strip(" ,;:").split()):
        if not word[:1].isupper() or any(character.isdigit() for character in word):
            break
        kept.append(word)
    return " ".join(reversed(kept)) or None


def _addresses(value: str) -> list[Address]:
    plain = _ON_BEHALF.split(_NESTED_MAILTO.sub("", value), maxsplit=1)[0]
    return parse_addresses([_MAILTO.sub(r"<\1>", plain)])


def _without_divider(lines: Sequence[str]) -> list[str]:
    kept = list(lines)
    while kept and (not kept[-1].strip() or is_divider(kept[-1])):
        kept.pop()
    return kept


def _all_quoted(lines: Sequence[str]) -> bool:
    written = [line for line in lines if line.strip()]
    return bool(written) and all(line.startswith(">") for line in written[:50])


def _unquote(line: str) -> str:
    stripped = line.removeprefix(">")
    return stripped.removeprefix(" ") if stripped != line else line


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(line.rstrip() for line in lines).strip("\n \t\u00a0")
