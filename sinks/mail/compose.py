"""The mail itself (RFC 5322): addressed, threaded by conversation, marked as automatic. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from omnibus import clock
from omnibus.config.fields import size_words
from omnibus.model import ids
from omnibus.model.codec import Event
from omnibus.model.content import Attachment
from sinks.mail.letter import Letter
from sinks.mail.sink import MailSettings

_LONGEST_SUBJECT = 200
_ID_CHARS = re.compile(r"[A-Za-z0-9_.+-]{1,128}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_MIME = re.compile(r"([a-z0-9.+-]+)/([a-z0-9.+-]+)")
_WHY_MISSING = {
    "pending": "still being fetched",
    "external": "kept by the channel",
    "expired": "no longer available",
    "blocked": "blocked",
    "too_large": "too large to keep",
}


def mail_of(event: Event, letter: Letter, files: Mapping[str, bytes], settings: MailSettings) -> EmailMessage:
    """The mail for an event. `files` are the attachments that go with it, by id; the others are listed by name.

    The Message-ID is the event's id, so that a copy sent after a crash is the same mail; In-Reply-To and References
    name the conversation, so that its mails are one thread in any order of arrival.
    """
    domain = settings.domain or settings.sender.rpartition("@")[2]
    root = message_id(event.subject, domain)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = settings.sender
    mail["To"] = settings.to
    if settings.reply_to is not None:
        mail["Reply-To"] = settings.reply_to
    mail["Subject"] = subject_line(event.subject, letter.subject)
    mail["Date"] = format_datetime(clock.from_ms(event.time))
    mail["Message-ID"] = message_id(event.id, domain)
    mail["In-Reply-To"] = root
    mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation note answers this
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Omnibus-Conversation"] = _one_line(event.subject)
    # Quoted-printable, because not every server takes eight bits.
    mail.set_content(_sendable(_body(letter, files)), cte="quoted-printable")
    for attachment in letter.attachments:
        if attachment.id in files:
            _attach(mail, attachment, files[attachment.id])
    return mail


def message_id(of: str, domain: str) -> str:
    """The Message-ID that stands for an id of ours, the same each time."""
    return f"<{of if _ID_CHARS.fullmatch(of) else ids.derive('ref', of)}@{domain}>"


def subject_line(conversation_id: str, subject: str) -> str:
    """``[#1a2b3c4d] Where is my parcel?``: the end of the conversation's id keeps threads apart in any mailbox."""
    return f"[#{_one_line(conversation_id)[-8:]}] {_one_line(subject)}"[:_LONGEST_SUBJECT]


def _body(letter: Letter, files: Mapping[str, bytes]) -> str:
    if not letter.attachments:
        return letter.text
    return "\n".join([letter.text, "", "Attachments:", *_listed(letter.attachments, files)])


def _listed(attachments: Sequence[Attachment], files: Mapping[str, bytes]) -> list[str]:
    return [f"- {_described(attachment, attachment.id in files)}" for attachment in attachments]


def _described(attachment: Attachment, is_attached: bool) -> str:
    facts = [attachment.mime]
    if attachment.size is not None:
        facts.append(size_words(attachment.size))
    if not is_attached:
        facts.append(_WHY_MISSING.get(attachment.state, "not attached"))
    return f"{_file_name(attachment)} ({', '.join(facts)})"


def _attach(mail: EmailMessage, attachment: Attachment, data: bytes) -> None:
    found = _MIME.fullmatch(attachment.mime.partition(";")[0].strip().lower())
    kind, subtype = found.groups() if found else ("application", "octet-stream")
    if kind in ("message", "multipart"):  # those would be taken for parts of this very mail
        kind, subtype = "application", "octet-stream"
    mail.add_attachment(data, maintype=kind, subtype=subtype, filename=_file_name(attachment))


def _file_name(attachment: Attachment) -> str:
    return _one_line(attachment.file_name or "")[-120:].replace("/", "_").replace("\\", "_") or "attachment"


def _one_line(text: str) -> str:
    """Without line breaks and other controls, which would begin a header of their own."""
    return _sendable(_CONTROLS.sub(" ", text)).strip()


def _sendable(text: str) -> str:
    """Without the halves of characters that no encoding takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
