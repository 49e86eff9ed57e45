"""Bounces: who could not be reached, why, and which of our mails it was. RFC 3464, and what servers wrote before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from connectors._shared.mime.headers import Headers, split_block
from connectors._shared.mime.parse import Part
from connectors._shared.mime.structure import text_of_part
from connectors.email.auto import report_type
from connectors.email.bounce_text import (
    ADDRESS,
    MAX_RECIPIENTS,
    MAX_TEXT,
    STATUS,
    own_text,
    stated_in,
    status_in,
    still_tries,
    tells_of_failure,
    told,
)
from connectors.email.mail import Mail, message_ids

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"})
_EMBEDDED_ID = re.compile(r"(?im)^[> \t]{0,8}message-id:\s{0,4}<?([^\s<>]{1,400}@[^\s<>]{1,400}?)>?\s*$")


@dataclass(frozen=True)
class Failure:
    """One recipient's fate. `status` is the enhanced status code (RFC 3463), '' when nothing says it."""

    recipient: str | None
    action: str = "failed"
    status: str = ""
    diagnostic: str = ""
    remote: str = ""

    @property
    def is_failure(self) -> bool:
        return self.action in ("failed", "")

    @property
    def is_hard(self) -> bool:
        return self.status.startswith("5")


@dataclass(frozen=True)
class Report:
    """A mail server's report. `original_id` is the Message-ID of the mail it speaks of."""

    failures: list[Failure] = field(default_factory=list)
    original_id: str | None = None


def read_report(mail: Mail) -> Report | None:
    """The report in a mail; None when it is none."""
    statuses = [part for part in mail.root.walk() if part.content_type in _STATUS_TYPES]
    by_server = bool(statuses) and (report_type(mail) == "delivery-status" or tells_of_failure(mail))
    if by_server:  # else somebody forwards a bounce
        failures = [failure for part in statuses for failure in _failures_in(part)]
        if failures:
            text = own_text(mail)
            failures = [_completed(failure, text, alone=len(failures) == 1) for failure in failures]
            return Report(failures=failures[:MAX_RECIPIENTS], original_id=original_id(mail))
    if report_type(mail) in ("feedback-report", "disposition-notification") or not tells_of_failure(mail):
        return None
    failures = [
        Failure(recipient=each.recipient, status=each.status, diagnostic=each.words, action=_action(each.status, mail))
        for each in told(mail)
    ]
    return Report(failures=failures, original_id=original_id(mail))


def _action(status: str, mail: Mail) -> str:
    """Words say whether the server still tries: a delay is no failure."""
    return "delayed" if status.startswith("4") and still_tries(mail) else "failed"


def _completed(failure: Failure, text: str, *, alone: bool) -> Failure:
    """A report without a status, or with the most general one, may say more in words."""
    if failure.status and not failure.status.endswith(".0.0"):
        return failure
    words = failure.diagnostic or (text if alone else "")
    better = status_in(words) if not failure.status else stated_in(words)
    return replace(failure, status=better) if better else failure


def original_id(mail: Mail) -> str | None:
    """The Message-ID of the returned mail: from the enclosed message or headers, else quoted in the text."""
    for part in mail.root.walk():
        if part is mail.root:
            continue
        if part.is_message and part.children:
            found = _id_in(part.children[0].headers)
        elif part.content_type in _HEADER_TYPES:
            found = _id_in(split_block(part.decoded())[0])
        else:
            continue
        if found is not None:
            return found
    quoted = _EMBEDDED_ID.search(mail.text[:MAX_TEXT])
    return quoted.group(1) if quoted else next(iter(mail.in_reply_to or reversed(mail.references)), None)


def _id_in(headers: Headers) -> str | None:
    return next(iter(message_ids(headers.every_raw("message-id"))), None)


def _failures_in(part: Part) -> Iterator[Failure]:
    """The recipients of a message/delivery-status part: blocks of fields, the first one about the message."""
    for block in _blocks(part.children[0] if part.children else part):
        recipient = block.get("final-recipient") or block.get("original-recipient")
        if recipient is None and "action" not in block:
            continue
        diagnostic = _after_type(block.get("diagnostic-code"))
        yield Failure(
            recipient=_recipient(block.get("original-recipient")) or _recipient(recipient),
            action=(block.get("action") or "failed").partition(" ")[0].strip().lower(),
            status=_best_status(block.get("status"), diagnostic),
            diagnostic=diagnostic[:500],
            remote=_after_type(block.get("remote-mta"))[:255],
        )


def _blocks(part: Part) -> Iterable[Headers]:
    text = text_of_part(part)[:MAX_TEXT]
    for block in re.split(r"\n[ \t]*\n", text):
        if block.strip():
            yield split_block(block.strip("\n").encode() + b"\n")[0]


def _after_type(value: str | None) -> str:
    """`smtp; 550 5.1.1 no` without its type."""
    kind, semicolon, rest = (value or "").partition(";")
    return (rest if semicolon and " " not in kind.strip() else value or "").strip()


def _recipient(value: str | None) -> str | None:
    found = ADDRESS.search(_after_type(value))
    return found.group() if found else None


def _best_status(stated: str | None, diagnostic: str) -> str:
    """The stated status, unless it is a general one (x.0.0) and the other server's words are more exact."""
    said = STATUS.search(stated or "")
    status = said.group(1) if said else ""
    if status and not status.endswith(".0.0"):
        return status
    better = STATUS.search(diagnostic)
    return better.group(1) if better and better.group(1)[0] in "45" else status
