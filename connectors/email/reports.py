"""Reports that are no bounces: somebody read our mail (RFC 8098), or called it spam (ARF, RFC 5965)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors._shared.mime.headers import Headers, split_block
from connectors._shared.mime.parse import Part
from connectors.email.auto import report_type
from connectors.email.bounce import original_id
from connectors.email.mail import Mail, message_ids

_MAX = 20_000
_ADDRESS = re.compile(r"[^\s<>;,]{1,64}@[^\s<>;,]{1,255}")


@dataclass(frozen=True)
class Receipt:
    """A recipient's program says what became of the mail `original_id`: displayed, deleted, processed ..."""

    original_id: str
    disposition: str
    recipient: str | None


@dataclass(frozen=True)
class Complaint:
    """A provider passes on a complaint: its kind (`abuse`, `fraud`, `not-spam` ...), the mail and its reader."""

    kind: str
    original_id: str | None
    recipient: str | None


def read_receipt(mail: Mail) -> Receipt | None:
    """The receipt in a mail; None when it is none, or does not say for which mail."""
    fields = _fields(mail, "disposition-notification")
    if fields is None:
        return None
    original = next(message_ids(fields.every_raw("original-message-id")), None) or original_id(mail)
    disposition = (fields.get("disposition") or "").rpartition(";")[2].partition("/")[0].strip().lower()
    return Receipt(original, disposition, _address(fields.get("final-recipient"))) if original else None


def read_complaint(mail: Mail) -> Complaint | None:
    """The complaint in a mail; None when it is none."""
    fields = _fields(mail, "feedback-report")
    if fields is None:
        return None
    kind = (fields.get("feedback-type") or "other").strip().lower()[:40]
    recipient = _address(fields.get("original-rcpt-to")) or _address(fields.get("removal-recipient"))
    return Complaint(kind, original_id(mail), recipient)


def _fields(mail: Mail, kind: str) -> Headers | None:
    if report_type(mail) != kind:
        return None
    part = next((each for each in mail.root.walk() if each.content_type == f"message/{kind}"), None)
    return split_block(_bytes(part).lstrip(b"\r\n") + b"\n")[0] if part is not None else None


def _bytes(part: Part) -> bytes:
    return part.decoded()[:_MAX]


def _address(value: str | None) -> str | None:
    found = _ADDRESS.search(value or "")
    return found.group() if found else None
