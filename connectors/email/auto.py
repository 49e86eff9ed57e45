"""Was this mail written by a person? The evidence of RFC 3834 and of what mail programs do instead."""

from __future__ import annotations

import re
from typing import NamedTuple

from connectors.email.languages import AUTO_REPLY_SUBJECTS
from connectors.email.mail import Mail
from omnibus.model.base import AutoSubmitted

_DAEMONS = re.compile(
    r"^(?:mailer[-_.]?daemon|mail[-_.]?daemon|mailer|postmaster|mdaemon|mail[-_ ]?delivery[-_ ]?(?:sub)?system|"
    r"mailadmin|double-bounce|bounces?)(?:[+=-].*)?@",
    re.IGNORECASE,
)
_AUTO_REPLY_HEADERS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-autoreply-from", "x-mail-autoreply")
_LIST_HEADERS = ("list-id", "list-post", "list-unsubscribe", "mailing-list", "x-mailing-list")
_CAMPAIGN_HEADERS = ("feedback-id", "x-campaign", "x-campaignid", "x-mailgun-campaign-id", "x-csa-complaints")
_PRECEDENCE: dict[str, AutoSubmitted] = {
    "auto_reply": "auto_reply",
    "bulk": "bulk",
    "junk": "bulk",
    "list": "bulk",
}
_SUBJECT = re.compile(rf"^\s*(?:{'|'.join(AUTO_REPLY_SUBJECTS)})", re.IGNORECASE)


class Verdict(NamedTuple):
    """What kind of mail it is, and the field that says so."""

    kind: AutoSubmitted
    evidence: str = ""


PERSON = Verdict("no")


def auto_submitted(mail: Mail, mail_from: str | None) -> Verdict:
    """The strongest evidence first. `mail_from` is the envelope's sender; '' is the null sender, None unknown."""
    for judge in (_by_report, _by_auto_submitted, _by_auto_reply_header, _by_precedence, _by_list):
        if (verdict := judge(mail)) is not None:
            return verdict
    if (verdict := _by_sender(mail, mail_from)) is not None:
        return verdict
    if _SUBJECT.search(mail.subject[:200]):
        return Verdict("auto_reply", "subject")
    if "x-auto-response-suppress" in mail.headers and not mail.in_reply_to:
        # Ticket systems set it on what people wrote as well: only a mail that answers nothing counts.
        return Verdict("auto_generated", "x-auto-response-suppress")
    return PERSON


def is_daemon(address: str) -> bool:
    """Whether a mail server speaks there."""
    return _DAEMONS.match(address) is not None


def report_type(mail: Mail) -> str | None:
    """`delivery-status`, `feedback-report`, `disposition-notification`; None when it is no multipart/report."""
    if mail.root.content_type != "multipart/report":
        return None
    said = mail.root.params.get("report-type", "").lower()
    kinds = {part.content_type for part in mail.root.children}
    for kind in ("delivery-status", "feedback-report", "disposition-notification"):
        if said == kind or f"message/{kind}" in kinds:
            return kind
    return said or "delivery-status"


def _by_report(mail: Mail) -> Verdict | None:
    match report_type(mail):
        case None:
            return None
        case "delivery-status":
            return Verdict("bounce", "content-type")
        case _:
            return Verdict("auto_generated", "content-type")


def _by_auto_submitted(mail: Mail) -> Verdict | None:
    word = (mail.headers.get("auto-submitted") or "").partition(";")[0].partition("(")[0].strip().lower()
    if word in ("", "no"):
        return None
    if word in ("auto-replied", "auto-reply"):
        return Verdict("auto_reply", "auto-submitted")
    return Verdict("auto_generated", "auto-submitted")


def _by_auto_reply_header(mail: Mail) -> Verdict | None:
    for name in _AUTO_REPLY_HEADERS:
        if (mail.headers.get(name) or "no").strip().lower() not in ("no", "false", "0"):
            return Verdict("auto_reply", name)
    return None


def _by_precedence(mail: Mail) -> Verdict | None:
    for name in ("precedence", "x-precedence"):
        kind = _PRECEDENCE.get((mail.headers.get(name) or "").strip().lower().replace("-", "_"))
        if kind is not None:
            by_subject = kind == "bulk" and _SUBJECT.search(mail.subject[:200])
            return Verdict("auto_reply" if by_subject else kind, name)
    return None


def _by_list(mail: Mail) -> Verdict | None:
    for name in (*_LIST_HEADERS, *_CAMPAIGN_HEADERS):
        if name in mail.headers:
            return Verdict("bulk", name)
    return None


def _by_sender(mail: Mail, mail_from: str | None) -> Verdict | None:
    if mail.sender is not None and is_daemon(mail.sender.email):
        return Verdict("bounce", "from")
    envelope = mail_from if mail_from is not None else mail.headers.get("return-path")
    if envelope is not None and envelope.strip() in ("", "<>"):
        return Verdict("auto_generated", "return-path")
    return None
