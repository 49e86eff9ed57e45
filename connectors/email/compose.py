"""An outbound message as a mail: in its thread, with our marks, text and HTML, and its files."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from html import escape

from connectors.email.addressing import ORIGIN_HEADER, mint_message_id, reply_address
from connectors.email.html import html_to_text
from connectors.email.markdown import markdown_to_html
from connectors.email.quoting import quotation
from connectors.email.settings import EmailSettings
from connectors.email.threads import bare_subject
from omnibus import clock
from omnibus.blobs import BlobMissing, BlobStore
from omnibus.errors import Refused
from omnibus.model import content as contents
from omnibus.model.events import Outbound

MAX_MAIL = 25_000_000
"""Bytes of files before they are encoded."""
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=200)
_MAX_SUBJECT = 500
_LARGE = 500_000

_Files = list[tuple[contents.Attachment, bytes]]


@dataclass(frozen=True)
class Composed:
    """A mail ready to be sent. `message_id` has no brackets."""

    message_id: str
    envelope_from: str
    recipients: tuple[str, ...]
    data: bytes
    needs_utf8: bool = False
    """An address has other letters than ASCII: only servers with SMTPUTF8 (RFC 6531) can take it."""


@dataclass(frozen=True)
class _Words:
    """What the mail says."""

    plain: str
    html: str | None = None
    subject: str | None = None
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


async def compose(outbound: Outbound, settings: EmailSettings, blobs: BlobStore) -> Composed:
    """Raises Refused for content that is no mail, and for files that are missing or too large together."""
    words = await _words(outbound, blobs)
    if settings.outgoing is None or settings.outgoing.quote:
        words = _quoting(words, quotation(outbound))
    files = await _files(outbound, blobs)
    if sum(len(data) for _, data in files) > _LARGE:
        # Encoding megabytes takes a while, and other conversations use this loop too.
        return await asyncio.to_thread(_compose, outbound, settings, words, files)
    return _compose(outbound, settings, words, files)


def _compose(outbound: Outbound, settings: EmailSettings, words: _Words, files: _Files) -> Composed:
    sender = sender_address(settings)
    message, conversation = outbound.message, outbound.conversation
    message_id = mint_message_id(message.id, conversation.id, sender.rpartition("@")[2])
    recipients = tuple(dict.fromkeys((outbound.recipient.value, *words.to, *words.cc)))
    needs_utf8 = not "".join((sender, *recipients)).isascii()
    mail = EmailMessage(policy=_POLICY.clone(utf8=True) if needs_utf8 else _POLICY)
    _set_addresses(mail, outbound, settings, words)
    mail["Subject"] = _subject(outbound, words)
    mail["Message-ID"] = f"<{message_id}>"
    mail["Date"] = format_datetime(clock.now())
    _set_thread(mail, outbound, words)
    _set_marks(mail, outbound)
    _fill(mail, words, files)
    return Composed(
        message_id=message_id,
        envelope_from=sender,
        recipients=recipients,
        data=mail.as_bytes(),
        needs_utf8=needs_utf8,
    )


def sender_address(settings: EmailSettings) -> str:
    """The address answers come from."""
    named = settings.outgoing.address if settings.outgoing is not None else None
    return named or settings.addresses[0]


def _set_addresses(mail: EmailMessage, outbound: Outbound, settings: EmailSettings, words: _Words) -> None:
    sender = sender_address(settings)
    outgoing = settings.outgoing
    mail["From"] = _mailbox(outgoing.name if outgoing else None, sender)
    name = outbound.recipient.display_name
    mail["To"] = ", ".join([_mailbox(name, outbound.recipient.value), *words.to])
    if words.cc:
        mail["Cc"] = ", ".join(words.cc)
    if outgoing is None or outgoing.reply_tag:
        token = reply_address(sender, outbound.conversation.id)
        if token is not None:
            mail["Reply-To"] = token


def _mailbox(name: str | None, address: str) -> str:
    if not name:
        return address
    if address.isascii():
        return formataddr((_one_line(name), address))
    quoted = _one_line(name).replace("\\", "\\\\").replace('"', '\\"')  # formataddr takes ASCII addresses only
    return f'"{quoted}" <{address}>'


def _one_line(text: str) -> str:
    """Header values cannot hold line breaks: names come from foreign mails."""
    return " ".join(text.split())[:200]


def _subject(outbound: Outbound, words: _Words) -> str:
    given = words.subject or outbound.conversation.subject or ""
    bare = " ".join(bare_subject(given).split())[:_MAX_SUBJECT]
    is_answer = outbound.message.in_reply_to is not None or outbound.conversation.first_inbound_at is not None
    return f"Re: {bare}".strip() if is_answer else (bare or "(no subject)")


def _set_thread(mail: EmailMessage, outbound: Outbound, words: _Words) -> None:
    answered = outbound.message.in_reply_to.native_id if outbound.message.in_reply_to is not None else None
    # A mail without Message-ID is known to us by a hash, which says nothing to other programs.
    parent = answered if answered and "@" in answered else None
    references = [each for each in (*words.references, parent) if each and "@" in each and each.isprintable()]
    if parent and parent.isprintable():
        mail["In-Reply-To"] = f"<{parent}>"
    if references:
        mail["References"] = " ".join(f"<{each}>" for each in dict.fromkeys(references[-20:]))


def _set_marks(mail: EmailMessage, outbound: Outbound) -> None:
    mail[ORIGIN_HEADER] = outbound.message.id
    if outbound.message.auto_submitted != "no" or outbound.message.author.type in ("bot", "system"):
        is_answer = outbound.message.in_reply_to is not None
        mail["Auto-Submitted"] = "auto-replied" if is_answer else "auto-generated"
        # Exchange's way of asking for no out-of-office answers: [MS-OXCMAIL] section 2.1.3.2.20.
        mail["X-Auto-Response-Suppress"] = "All"


async def _words(outbound: Outbound, blobs: BlobStore) -> _Words:
    match outbound.message.content:
        case contents.Text(text=text, format="markdown"):
            return _Words(plain=text, html=_page(markdown_to_html(text)))
        case contents.Text(text=text, format="html"):
            return _Words(plain=html_to_text(text), html=text)
        case contents.Text(text=text):
            return _Words(plain=text)
        case contents.Email() as mail:
            return _Words(
                plain=mail.text,
                html=(await _blob(mail.html_ref, blobs)).decode("utf-8", "replace") if mail.html_ref else None,
                subject=mail.subject or None,
                to=tuple(each.address for each in mail.to if each.address != outbound.recipient.value),
                cc=tuple(each.address for each in mail.cc),
                references=mail.references,
            )
        case contents.Media(caption=caption):
            return _Words(plain=caption or "")
        case other:
            raise Refused("UNSUPPORTED_OPERATION", f"mail cannot carry {type(other).__name__}")


def _quoting(words: _Words, quoted: tuple[str, str] | None) -> _Words:
    """The answer with the mail it answers below it, in both forms."""
    if quoted is None:
        return words
    plain, html = quoted
    end = "</body></html>"
    own = words.html
    if own is not None:
        own = f"{own.removesuffix(end)}{html}{end}" if own.endswith(end) else own + html
    return replace(words, plain=f"{words.plain}\n\n{plain}", html=own)


def _page(html: str) -> str:
    return f"<!DOCTYPE html><html><body>{html}</body></html>"


def _fill(mail: EmailMessage, words: _Words, files: _Files) -> None:
    mail.set_content(words.plain + "\n", charset="utf-8")
    html_part: MIMEPart | None = None
    if words.html is not None:
        mail.add_alternative(words.html, subtype="html", charset="utf-8")
        html_part = next(part for part in mail.walk() if part.get_content_type() == "text/html")
    for attachment, data in files:
        _attach(mail, html_part, attachment, data)


def _attach(mail: EmailMessage, html_part: MIMEPart | None, attachment: contents.Attachment, data: bytes) -> None:
    kind, _, subtype = attachment.mime.partition("/")
    if kind in ("message", "multipart", "") or not subtype.replace("-", "").replace(".", "").replace("+", "").isalnum():
        kind, subtype = "application", "octet-stream"  # a message inside would be encoded against RFC 2046 5.2.1
    name = _one_line(attachment.file_name or "file")
    if html_part is not None and attachment.inline and attachment.content_id:
        cid = f"<{escape(_one_line(attachment.content_id))}>"
        html_part.add_related(data, kind, subtype, cid=cid, filename=name, disposition="inline")
    else:
        mail.add_attachment(data, maintype=kind, subtype=subtype, filename=name)


async def _files(outbound: Outbound, blobs: BlobStore) -> _Files:
    found: _Files = []
    size = 0
    for attachment in outbound.message.attachments:
        data = await _file(attachment, blobs)
        size += len(data)
        if size > MAX_MAIL:
            raise Refused("MEDIA_TOO_LARGE", f"the files have more than {MAX_MAIL} bytes together")
        found.append((attachment, data))
    return found


async def _file(attachment: contents.Attachment, blobs: BlobStore) -> bytes:
    if attachment.ref is None or attachment.ref.scheme != "object":
        raise Refused("MEDIA_NOT_REACHABLE", f"{attachment.file_name or attachment.id} is not in our store")
    return await _blob(attachment.ref.uri, blobs)


async def _blob(uri: str, blobs: BlobStore) -> bytes:
    try:
        return await blobs.get(uri)
    except (BlobMissing, ValueError) as error:
        raise Refused("MEDIA_NOT_REACHABLE", "the stored file is missing") from error
