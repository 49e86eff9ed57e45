"""Was this mail written by a person? The evidence of RFC 3834 and of what mail programs do instead."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from connectors.email.languages import AUTO_REPLY_SUBJECTS, CHALLENGE_SUBJECTS, CHALLENGE_TEXTS
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
# TMDA (https://tmda.sourceforge.net) names itself in a field, and has answers sent to `name-confirm-accept.stamp@`;
# the others are services that do nothing else.
_CHALLENGE_FIELDS = {"x-delivery-agent": "tmda"}
_CONFIRMS_AT = re.compile(
    r"[-+=.]confirm-(?:accept|done)?\.?[\w.=-]{8,80}@|@(?:[\w-]+\.)*(?:spamarrest|boxbe)\.com$", re.IGNORECASE
)
_LOOKED_AT = 5_000
_SUBJECT = re.compile(rf"^\s*(?:{'|'.join(AUTO_REPLY_SUBJECTS)})", re.IGNORECASE)


class Verdict(NamedTuple):
    """What kind of mail it is, and the field that says so."""

    kind: AutoSubmitted
    evidence: str = ""


PERSON = Verdict("no")


def auto_submitted(mail: Mail, mail_from: str | None) -> Verdict:
    """The strongest evidence first. `mail_from` is the envelope's sender; '' is the null sender, None unknown."""
    for judge in (_by_report, _by_challenge, _by_auto_submitted, _by_auto_reply_header, _by_precedence, _by_list):
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


def _by_challenge(mail: Mail) -> Verdict | None:
    """A robot that wants the sender to prove to be a person before it delivers: an answer would be from a robot, too.

    Whoever built one says so in a field, or sends from an address made for the confirmation; the others say in the
    subject that something is to be confirmed, and in the text that a mail is held until then.
    """
    for name, mark in _CHALLENGE_FIELDS.items():
        if (value := mail.headers.get(name)) is not None and mark in value.lower():
            return Verdict("auto_reply", f"challenge-response: {name}")
    for name in ("reply-to", "from"):
        if any(_CONFIRMS_AT.search(address.email) for address in mail.addresses(name)[:5]):
            return Verdict("auto_reply", f"challenge-response: {name}")
    if _any(CHALLENGE_SUBJECTS).search(mail.subject[:300]) and _any(CHALLENGE_TEXTS).search(mail.text[:_LOOKED_AT]):
        return Verdict("auto_reply", "challenge-response: text")
    return None


@lru_cache(maxsize=4)
def _any(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


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
