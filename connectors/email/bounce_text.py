"""Bounces in words: what mail servers wrote before RFC 3464, and what some still write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from connectors._shared.mime.addresses import parse_addresses
from connectors.email import bounce_words as words
from connectors.email.mail import Mail

MAX_TEXT = 20_000
_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"})
MAX_RECIPIENTS = 200
STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]|-\d)")
ADDRESS = re.compile(r"[A-Za-z0-9._%+=~/!#$&'*^{}|-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_DAEMON = _any(words.DAEMONS)
_SUBJECT = _any(words.SUBJECTS)
_REGRET = _any(words.REGRETS)
_STILL_TRYING = _any(words.STILL_TRYING)
_RETURNED = re.compile(
    rf"(?im)^(?:[->=* _]{{0,40}}(?:{'|'.join(words.RETURNED)})\b.*|(?:{'|'.join(words.RETURNED_FIELDS)}): .*)$"
)
_OUR_SIDE = re.compile(
    r"(?:mail from:?|from:?|sender:?|reply-to:?|contact|mailto:|sent by|by) {0,2}[<\"]{0,2}$", re.IGNORECASE
)
_AT_LINE_START = re.compile(rf"(?m)^[ \t>*-]{{0,12}}[<\[\"(']{{0,2}}({ADDRESS.pattern})")
_AFTER_TO = re.compile(
    rf"(?i)(?:\b(?:to|for|recipients?|address(?:es)?|user|rcpt to|mailbox|did)\b[ \t]{{0,3}}:?|宛先|先)"
    rf"[ \t:]{{0,3}}[<\[\"(']{{0,2}}({ADDRESS.pattern})"
)
_REPLY_CODE = re.compile(r"(?<![\d.])([45][0-5]\d)(?=[ \t:,-](?!\d)|$)")

_PHRASE_TABLE = tuple((_any(phrases), status) for status, phrases in words.PHRASES)


@dataclass(frozen=True)
class Told:
    """One recipient as the words tell: `status` may be derived from a phrase."""

    recipient: str | None
    status: str
    words: str


def tells_of_failure(mail: Mail) -> bool:
    """Whether a mail server wrote it, about a mail that it could not deliver."""
    if "x-failed-recipients" in mail.headers:
        return True
    by_daemon = _DAEMON.search((mail.headers.raw("from") or "")[:300]) is not None
    by_subject = _SUBJECT.search(mail.subject[:300]) is not None
    if by_daemon:
        return by_subject or _REGRET.search(own_text(mail)) is not None
    # People write "delivery failed" to a shop as well: without the returned mail it is their complaint.
    return by_subject and not mail.in_reply_to and _returns_a_mail(mail) and _REGRET.search(own_text(mail)) is not None


def _returns_a_mail(mail: Mail) -> bool:
    if (mail.headers.raw("return-path") or "").strip() == "<>":
        return True
    enclosed = any(part.is_message or part.content_type in _HEADER_TYPES for part in mail.root.walk())
    return enclosed or _RETURNED.search(mail.text[:MAX_TEXT]) is not None


def still_tries(mail: Mail) -> bool:
    """Whether the server goes on: a delay is no failure."""
    return _STILL_TRYING.search(own_text(mail)) is not None


def own_text(mail: Mail) -> str:
    """What the server wrote, without the mail it returns."""
    text = mail.text[:MAX_TEXT]
    returned = _RETURNED.search(text)
    kept = text[: returned.start()] if returned is not None else text
    return kept if kept.strip() else text


def told(mail: Mail) -> Iterator[Told]:
    """Each recipient the words name, with its part of the text."""
    text = own_text(mail)
    named = list(_recipients(mail, text))[:MAX_RECIPIENTS]
    if len(named) <= 1:
        yield Told(named[0][0] if named else _returned_to(mail), status_in(text), _last_words(text))
        return
    for index, (recipient, at) in enumerate(named):
        end = named[index + 1][1] if index + 1 < len(named) else len(text)
        piece = text[at:end]
        yield Told(recipient, status_in(piece) or status_in(text), _last_words(piece))


def status_in(text: str) -> str:
    """The enhanced status the text states or, failing that, means."""
    return stated_in(text) or status_of_phrase(text)


def stated_in(text: str) -> str:
    """The enhanced status the text states, the first that is more than general."""
    found = [each for each in STATUS.findall(text) if each[0] in "45"]
    return next((each for each in found if not each.endswith(".0.0")), found[0] if found else "")


def status_of_phrase(text: str) -> str:
    """The status that a phrase stands for; the reply code says whether it is for good."""
    code = _REPLY_CODE.search(text)
    for pattern, status in _PHRASE_TABLE:
        if pattern.search(text):
            return f"{code.group(1)[0]}{status[1:]}" if code is not None else status
    return f"{code.group(1)[0]}.0.0" if code is not None else ""


def _recipients(mail: Mail, text: str) -> Iterator[tuple[str, int]]:
    """Failed recipients with their places: as a header names them, else as the text does."""
    ours = {address.normalized for field in ("to", "from", "delivered-to") for address in mail.addresses(field)}
    failed = parse_addresses(mail.headers.every_raw("x-failed-recipients"))
    if failed:
        for address in failed:
            yield address.email, max(0, text.find(address.email))
        return
    for pattern in (_AT_LINE_START, _AFTER_TO, ADDRESS):
        found = list(_named_by(pattern, text, ours))
        if found:
            yield from found
            return


def _named_by(pattern: re.Pattern[str], text: str, ours: set[str]) -> Iterator[tuple[str, int]]:
    seen: set[str] = set()
    for found in pattern.finditer(text):
        address = found.group(found.lastindex or 0).rstrip(".'")
        key = address.lower()
        if key in seen or key in ours or key.startswith(("postmaster@", "mailer-daemon@", "abuse@", "support@")):
            continue
        start = found.start(found.lastindex or 0)
        if pattern is ADDRESS and _OUR_SIDE.search(text[max(0, start - 14) : start]):
            continue
        seen.add(key)
        yield address, found.start()


def _returned_to(mail: Mail) -> str | None:
    """Whom the returned mail was for."""
    for part in mail.root.walk():
        if part.is_message and part.children:
            found = parse_addresses(part.children[0].headers.every_raw("to"))
            if found:
                return found[0].email
    return None


def _last_words(text: str) -> str:
    """The line that says why, as well as that can be told."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    for line in lines:
        if STATUS.search(line) or _REPLY_CODE.search(line):
            return line[:500]
    return lines[-1][:500] if lines else ""
