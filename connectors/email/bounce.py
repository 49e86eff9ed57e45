"""Bounces: who could not be reached, why, and which of our mails it was. RFC 3464, and what servers wrote before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from connectors._shared.mime.headers import Headers, split_block
from connectors._shared.mime.parse import Part
from connectors._shared.mime.structure import text_of_part
from connectors.email.auto import is_daemon, report_type
from connectors.email.mail import Mail, message_ids

MAX_RECIPIENTS = 200
_MAX_TEXT = 60_000
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]|-\d)")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+=~/!#$&'*^{}|-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"})
_EMBEDDED_ID = re.compile(r"(?im)^[> \t]{0,8}message-id:\s{0,4}<?([^\s<>]{3,400}@[^\s<>]{1,400}?)>?\s*$")


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
    if not statuses:
        return None
    if report_type(mail) != "delivery-status" and not (mail.sender and is_daemon(mail.sender.email)):
        return None  # somebody forwards a bounce
    failures = [failure for part in statuses for failure in _failures_in(part)]
    return Report(failures=failures[:MAX_RECIPIENTS], original_id=original_id(mail))


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
    quoted = _EMBEDDED_ID.search(mail.text[:_MAX_TEXT])
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
    text = text_of_part(part)[:_MAX_TEXT]
    for block in re.split(r"\n[ \t]*\n", text):
        if block.strip():
            yield split_block(block.strip("\n").encode() + b"\n")[0]


def _after_type(value: str | None) -> str:
    """`smtp; 550 5.1.1 no` without its type."""
    kind, semicolon, rest = (value or "").partition(";")
    return (rest if semicolon and " " not in kind.strip() else value or "").strip()


def _recipient(value: str | None) -> str | None:
    found = _ADDRESS.search(_after_type(value))
    return found.group() if found else None


def _best_status(stated: str | None, diagnostic: str) -> str:
    """The stated status, unless it is a general one (x.0.0) and the other server's words are more exact."""
    said = _STATUS.search(stated or "")
    status = said.group(1) if said else ""
    if status and not status.endswith(".0.0"):
        return status
    better = _STATUS.search(diagnostic)
    return better.group(1) if better and better.group(1)[0] in "45" else status
