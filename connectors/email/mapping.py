"""A mail into messages and delivery reports. Pure: the raw event says all there is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from connectors._shared.mime.addresses import Address
from connectors._shared.mime.parse import Part
from connectors.email.addressing import ORIGIN_HEADER, conversation_in_address, minted, without_tag
from connectors.email.authentication import Authentication, authentication
from connectors.email.auto import Verdict, auto_submitted
from connectors.email.bounce import Failure, Report, read_report
from connectors.email.copies import fingerprint_of, mailbox_of, recipients_of
from connectors.email.enclosed import Enclosed
from connectors.email.failure_codes import failure_code
from connectors.email.html_safe import safe_html
from connectors.email.mail import MAX_TEXT, Mail, read_mail
from connectors.email.reports import Complaint, Receipt, read_complaint, read_receipt
from connectors.email.threads import is_new_subject, links_of, names_of, weak_link_of
from omnibus.channel.events import AnyEvent, Delivery, Media, Message, Party
from omnibus.model.base import Attributes, MessageStatus
from omnibus.model.content import Email, MailAddress, Unsupported
from omnibus.model.entities import FailureReason, Quoted
from omnibus.model.raw import RawEvent

MAILBOX = ""
"""Mail has no native thread: everything of a mailbox is one, and the normalizer finds conversations by links."""

MAX_FILES = 200
LARGE = 1024 * 1024
"""Bytes in the mail from which on a file is handed on piece by piece."""
_MAX_PEOPLE = 100
_OLDEST = timedelta(days=366 * 30)
_MAX_HEADER = 500
_MAX_QUOTED = 20_000
_KEPT_HEADERS = (
    "date",
    "return-path",
    "delivered-to",
    "x-original-to",
    "auto-submitted",
    "precedence",
    "list-id",
    "list-unsubscribe",
    "importance",
    "x-priority",
    "x-mailer",
    "user-agent",
    "thread-topic",
    "x-spam-status",
    "x-spam-flag",
)


def threads(_raw: RawEvent) -> tuple[str, ...]:
    """One thread: the mailbox."""
    return (MAILBOX,)


def map_mail(raw: RawEvent) -> Iterator[AnyEvent]:
    """Reports on our own mails become deliveries, everything else a message: nothing is dropped."""
    mail = read_mail(raw.body)
    if (problem := raw.attributes.get("problem")) is not None:
        yield unfetched(raw, mail, problem)
        return
    receipt = read_receipt(mail)
    if receipt is not None and minted(receipt.original_id) is not None and receipt.disposition == "displayed":
        yield read_by(raw, mail, receipt)
        return
    report = read_report(mail)
    target = minted(report.original_id) if report and report.original_id else None
    if report is not None and target is not None and report.failures:
        yield from deliveries(raw, mail, report)
    else:
        yield message(raw, mail, report)


def read_by(raw: RawEvent, mail: Mail, receipt: Receipt) -> Delivery:
    """A read receipt on a mail of ours."""
    return Delivery(
        thread=MAILBOX,
        at=_sent_at(raw, mail),
        native_id=native_id_of(raw, mail),
        target=receipt.original_id,
        status="read",
        recipient=receipt.recipient,
        links=_links_to(receipt.original_id),
    )


def _links_to(native_id: str) -> tuple[str, ...]:
    ours = minted(native_id)
    return (*((f"c:{ours[1]}",) if ours is not None else ()), f"m:{native_id}")


def native_id_of(raw: RawEvent, mail: Mail) -> str:
    """The Message-ID; a hash of the bytes where there is none."""
    return mail.message_id or f"sha256:{hashlib.sha256(raw.body).hexdigest()}"


def message(raw: RawEvent, mail: Mail, report: Report | None = None) -> Message:
    """The mail as somebody's message, also a report on a mail that we do not know."""
    own = frozenset(raw.attributes.get("own", "").split())
    verdict = auto_submitted(mail, raw.attributes.get("mail_from"))
    if report is not None and verdict.kind != "bounce":
        verdict = Verdict("bounce", "report")
    complaint = read_complaint(mail)
    about = report.original_id if report is not None else complaint.original_id if complaint is not None else None
    vouched = authentication(mail, raw.attributes.get("authserv", "").split())
    author = author_of(raw, mail, own, verdict)
    looped = author is not None and without_tag(author.email) in own
    files = [*map(media, mail.bodies.files), *map(_enclosed, mail.enclosed)][:MAX_FILES]
    html, html_kind = kept_html(mail)
    return Message(
        thread=MAILBOX,
        at=_sent_at(raw, mail),
        native_id=native_id_of(raw, mail),
        sender=_party(author, verified=_is_vouched(vouched, mail, author))
        if author is not None
        else _nobody(raw, mail),
        content=content_of(mail),
        attachments=tuple(files),
        html=html,
        subject=mail.subject[:MAX_TEXT] or None,
        participants=tuple(_others(mail, own, author)),
        in_reply_to=next(iter(mail.in_reply_to or reversed(mail.references)), None),
        quoted=quoted_in(mail),
        auto_submitted=verdict.kind if not looped or verdict.kind != "no" else "auto_generated",
        links=(*_own_links(raw, mail), *(_links_to(about) if about else ())),
        names=names_of(mail),
        weak_link=weak_link_of(mail) if verdict.kind in ("no", "auto_reply") else None,
        own=looped and _is_marked(mail),
        fingerprint=fingerprint_of(mail, files),
        mailbox=mailbox_of(raw, mail),
        attributes=_attributes(mail, verdict, looped) | _reported(vouched, complaint) | html_kind,
    )


def unfetched(raw: RawEvent, mail: Mail, problem: str) -> Message:
    """A mail of which only the header could be had: its subject and sender are told, and why there is no more."""
    size = raw.attributes.get("size", "0")
    place = "/".join(raw.attributes.get(name, "") for name in ("folder", "uidvalidity", "uid"))
    why = f"larger than the account's max_size ({size} bytes)" if problem == "too_large" else "could not be fetched"
    sender = mail.sender
    return Message(
        thread=MAILBOX,
        at=_sent_at(raw, mail),
        native_id=mail.message_id or f"imap:{place}",
        sender=_party(sender) if sender is not None else _nobody(raw, mail),
        content=Unsupported(native_type="email", summary=f"{mail.subject[:200]} (the mail {why})".strip()),
        subject=mail.subject[:MAX_TEXT] or None,
        in_reply_to=next(iter(mail.in_reply_to or reversed(mail.references)), None),
        auto_submitted=auto_submitted(mail, None).kind,
        links=links_of(mail, recipients_of(raw, mail)),
        names=names_of(mail),
        attributes={"problem": problem},
    )


def author_of(raw: RawEvent, mail: Mail, own: frozenset[str], verdict: Verdict) -> Address | None:
    """Whom an answer should reach: Reply-To where a person or a contact form set one, else From, else the envelope.

    On lists Reply-To is the list's, not the author's.
    """
    sender = mail.sender
    wanted = mail.addresses("reply-to")
    if len(wanted) == 1 and verdict.kind == "no" and without_tag(wanted[0].email) not in own:
        reply_to = wanted[0]
        if sender is None or sender.normalized != reply_to.normalized:
            is_form = sender is not None and without_tag(sender.email) in own
            name = reply_to.name or (sender.name if sender is not None and not is_form else None)
            return Address(name=name, email=reply_to.email)
    if sender is not None:
        return sender
    envelope = raw.attributes.get("mail_from", "")
    return Address(name=None, email=envelope) if "@" in envelope else None


def content_of(mail: Mail) -> Email:
    """The mail's words and fields."""
    text = mail.text
    return Email(
        subject=mail.subject[:MAX_TEXT],
        text=text[:MAX_TEXT],
        text_reply_only=_own_words(mail)[:MAX_TEXT] or None,
        sender=_mail_address(mail.sender) if mail.sender is not None else None,
        to=_mail_addresses(mail, "to"),
        cc=_mail_addresses(mail, "cc"),
        bcc=_mail_addresses(mail, "bcc"),
        reply_to=_mail_addresses(mail, "reply-to"),
        message_id=mail.message_id,
        references=tuple(mail.references[-100:]),
        headers={name: value[:_MAX_HEADER] for name in _KEPT_HEADERS if (value := mail.headers.get(name))},
    )


def _own_words(mail: Mail) -> str:
    """The author's own words: above a forward, around quotations, without a signature."""
    return mail.forward.message if mail.forward is not None else mail.reply.body


def quoted_in(mail: Mail) -> Quoted | None:
    """A forwarded mail: who wrote it and what it says."""
    forward = mail.forward
    if forward is None:
        return None
    author = forward.sender
    return Quoted(
        text=forward.text[:_MAX_QUOTED] or None,
        author=(f"{author.name} <{author.email}>" if author.name else author.email) if author is not None else None,
    )


def media(part: Part) -> Media:
    """A file of the mail with its bytes; an enclosed mail is a file too."""
    pieces = part.pieces() if part.size > LARGE else None
    data = part.decoded() if pieces is None else None
    return Media(
        mime=part.content_type,
        data=data,
        chunks=pieces,
        file_name=file_name_of(part),
        size=len(data) if data is not None else pieces.size if pieces is not None else None,
        content_id=part.content_id,
        inline=part.disposition != "attachment" and part.content_id is not None,
    )


def file_name_of(part: Part) -> str | None:
    """The name without folders; an enclosed mail without one is called after its subject."""
    name = part.file_name
    if name is None and part.is_message and part.children:
        subject = part.children[0].headers.get("subject")
        name = f"{subject.strip()[:100]}.eml" if subject and subject.strip() else "message.eml"
    return _bare_name(name)


def _bare_name(name: str | None) -> str | None:
    if name is None:
        return None
    bare = name.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in bare if character.isprintable())[:200].strip() or None


def deliveries(raw: RawEvent, mail: Mail, report: Report) -> Iterator[Delivery]:
    """What became of our mail, for each recipient the server reports on."""
    target = report.original_id or ""
    links = _links_to(target)
    for index, failure in enumerate(report.failures):
        status = _delivery_status(failure)
        yield Delivery(
            thread=MAILBOX,
            at=_sent_at(raw, mail),
            native_id=f"{native_id_of(raw, mail)}#{index}",
            target=target,
            status=status,
            reason=_reason(failure) if status == "failed" else None,
            recipient=failure.recipient,
            links=links,
        )


def _delivery_status(failure: Failure) -> MessageStatus:
    # A delayed mail is still on its way; relayed and expanded ones left the world that reports.
    return {"delivered": "delivered", "relayed": "sent", "expanded": "sent", "delayed": "sent"}.get(
        failure.action, "failed"
    )


def _reason(failure: Failure) -> FailureReason:
    return FailureReason(
        code=failure_code(failure.status),
        native_code=failure.status or None,
        description=failure.diagnostic or None,
        retryable=not failure.is_hard,
    )


def _sent_at(raw: RawEvent, mail: Mail) -> datetime:
    """The Date field, unless it lies in the future or is absurdly old: senders' clocks are what they are."""
    date = mail.date
    if date is None or date > raw.received_at or raw.received_at - date > _OLDEST:
        return raw.received_at
    return date


def _is_vouched(vouched: Authentication | None, mail: Mail, author: Address) -> bool:
    """A trusted server's word is about the From address: one that answers should go to instead is not proven by it."""
    sender = mail.sender
    return vouched is not None and vouched.is_aligned and sender is not None and sender.normalized == author.normalized


def _reported(vouched: Authentication | None, complaint: Complaint | None) -> Attributes:
    found: Attributes = {}
    if vouched is not None and vouched.results:
        found["authentication"] = str(vouched)
    if complaint is not None:
        found["complaint"] = complaint.kind
        if complaint.recipient is not None:
            found["complaint_by"] = complaint.recipient
    return found


def _own_links(raw: RawEvent, mail: Mail) -> tuple[str, ...]:
    """Where the mail belongs. By setting an answer under another subject is on its own; our token still counts."""
    links = links_of(mail, recipients_of(raw, mail))
    if raw.attributes.get("follow_up") == "subject" and is_new_subject(mail):
        return tuple(link for link in links if link.startswith("c:"))
    return links


def kept_html(mail: Mail) -> tuple[bytes | None, Attributes]:
    """The HTML kept for showing, sanitised, and what is to be said about it."""
    if not mail.html:
        return None, {}
    safe = safe_html(mail.html)
    return (safe.encode(), {}) if safe is not None else (None, {"html_not_kept": True})


def _enclosed(file: Enclosed) -> Media:
    return Media(mime=file.mime, data=file.data, file_name=_bare_name(file.name), size=len(file.data))


def _party(address: Address, *, verified: bool = False) -> Party:
    return Party(
        scheme="email",
        verified="channel" if verified else "none",
        value=address.email,
        normalized=address.normalized,
        display_name=address.name[:_MAX_HEADER] if address.name else None,
    )


def _nobody(raw: RawEvent, mail: Mail) -> Party:
    """A mail without any sender: one stranger for each host it comes from, called what From says."""
    name = next(iter(mail.bare_names("from")), None)
    return Party(scheme="opaque", value=f"no-sender@{raw.remote or 'unknown'}", display_name=name)


def _others(mail: Mail, own: frozenset[str], author: Address | None) -> Iterator[Party]:
    """Who else takes part: To and Cc without us and without the author."""
    seen = {author.normalized} if author is not None else set()
    for address in [*mail.addresses("to"), *mail.addresses("cc")]:
        if len(seen) > _MAX_PEOPLE:
            return
        is_ours = without_tag(address.email) in own or conversation_in_address(address.email) is not None
        if "@" in address.email and not is_ours and address.normalized not in seen:
            seen.add(address.normalized)
            yield _party(address)


def _mail_address(address: Address) -> MailAddress:
    return MailAddress(address=address.email, name=address.name)


def _mail_addresses(mail: Mail, field: str) -> tuple[MailAddress, ...]:
    return tuple(_mail_address(address) for address in mail.addresses(field)[:_MAX_PEOPLE])


def _is_marked(mail: Mail) -> bool:
    """Whether Omnibus sent it: the mark alone proves nothing, so callers ask for our own address too."""
    is_ours = mail.message_id is not None and minted(mail.message_id) is not None
    return is_ours or ORIGIN_HEADER.lower() in mail.headers


def _attributes(mail: Mail, verdict: Verdict, looped: bool) -> Attributes:
    found: Attributes = {}
    if verdict.evidence:
        found["auto_submitted_by"] = verdict.evidence
    if looped:
        found["from_own_address"] = True
    if mail.forward is not None:
        found["forwarded"] = True
    if len(mail.text) > MAX_TEXT:
        found["text_cut"] = True
    if len(mail.bodies.files) > MAX_FILES:
        found["files_not_shown"] = len(mail.bodies.files) - MAX_FILES
    return found
