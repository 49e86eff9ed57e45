"""Contacts that people share, as vCards (RFC 6350)."""

from __future__ import annotations

from connectors.whatsapp_cloud.payload import Card


def vcard_of(card: Card) -> str:
    """The card that came along, or one made of names, numbers and addresses."""
    if card.vcard:
        return card.vcard
    lines = ["BEGIN:VCARD", "VERSION:4.0", f"FN:{_escaped(card.name.formatted_name)}"]
    lines += [f"TEL{_typed(phone.type)}:{_escaped(number)}" for phone in card.phones if (number := phone.phone)]
    lines += [f"EMAIL{_typed(mail.type)}:{_escaped(address)}" for mail in card.emails if (address := mail.email)]
    if card.org is not None:
        lines += [f"ORG:{_escaped(card.org.company)}"] if card.org.company else []
        lines += [f"TITLE:{_escaped(card.org.title)}"] if card.org.title else []
    return "\r\n".join([*lines, "END:VCARD"]) + "\r\n"


def _typed(kind: str | None) -> str:
    """``WORK`` and ``HOME`` mean the same there; other words of WhatsApp's do not exist."""
    kind = (kind or "").lower()
    return f";TYPE={kind}" if kind in ("work", "home", "cell", "fax", "pager") else ""


def _escaped(value: str) -> str:
    for mark, written in (("\\", "\\\\"), (",", "\\,"), (";", "\\;"), ("\r", ""), ("\n", "\\n")):
        value = value.replace(mark, written)
    return value
