"""The mail that is answered, quoted below the answer, as people expect it of mail."""

from __future__ import annotations

from email.utils import format_datetime
from html import escape

from omnibus.model import content as contents
from omnibus.model.entities import Message
from omnibus.model.events import Outbound

MAX_LINES = 200
MAX_TEXT = 20_000


def quotation(outbound: Outbound) -> tuple[str, str] | None:
    """The quotation as plain text and as HTML; None when there is nothing to quote or it is not what is answered."""
    answered = outbound.after
    if answered is None or not _is_answered(outbound, answered):
        return None
    text = _text_of(answered)
    if not text:
        return None
    lines = text[:MAX_TEXT].split("\n")[:MAX_LINES]
    # Read again by quotation.py: our own words must be known as an attribution.
    head = f"On {format_datetime(answered.created_at)}, {_author(outbound)} wrote:"
    plain = "\n".join([head, *(f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in lines)])
    quoted = "<br>".join(escape(line) for line in lines)
    html = f'<div class="gmail_quote">{escape(head)}<blockquote type="cite">{quoted}</blockquote></div>'
    return plain, html


def _is_answered(outbound: Outbound, answered: Message) -> bool:
    said = outbound.message.in_reply_to
    return said is not None and said.native_id is not None and said.native_id == answered.native.message_id


def _text_of(answered: Message) -> str:
    match answered.content:
        case contents.Email() as mail:
            return (mail.text_reply_only or mail.text).strip()
        case contents.Text(text=text):
            return text.strip()
        case _:
            return ""


def _author(outbound: Outbound) -> str:
    recipient = outbound.recipient
    name = " ".join((recipient.display_name or "").split())[:100]
    return f"{name} <{recipient.value}>" if name else recipient.value
