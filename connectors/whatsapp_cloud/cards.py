"""vCards (RFC 6350) as the contacts of a message.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/contacts-messages
"""

from __future__ import annotations

import re
from typing import Any

from omnibus.errors import Refused
from omnibus.model.content import ContactCard

_FOLD = re.compile(r"\r?\n[ \t]")
_ESCAPED = re.compile(r"\\(.)")


def contacts_of(content: ContactCard) -> list[dict[str, Any]]:
    """The people of the cards. Raises Refused for a card without a name, which WhatsApp does not take."""
    return [_contact(card) for card in content.vcards]


def _contact(card: str) -> dict[str, Any]:
    lines = [_line(line) for line in _FOLD.sub("", card).splitlines() if ":" in line]
    name = next((value for key, _, value in lines if key == "FN"), "")
    if not name:
        raise Refused("UNSUPPORTED_OPERATION", "a contact needs a name")
    # Besides the formatted name WhatsApp wants at least one of its parts.
    contact: dict[str, Any] = {"name": {"formatted_name": name, "first_name": name}}
    phones = [{"phone": value, **_typed(kind)} for key, kind, value in lines if key == "TEL"]
    emails = [{"email": value, **_typed(kind)} for key, kind, value in lines if key == "EMAIL"]
    company = next((value for key, _, value in lines if key == "ORG"), "")
    return {
        **contact,
        **({"phones": phones} if phones else {}),
        **({"emails": emails} if emails else {}),
        **({"org": {"company": company}} if company else {}),
    }


def _line(line: str) -> tuple[str, str, str]:
    """The property, its type, and its value; a group before the property says nothing here."""
    head, _, value = line.partition(":")
    name, *parameters = head.upper().split(";")
    kind = next((each.removeprefix("TYPE=") for each in parameters if each.startswith("TYPE=")), "")
    return name.rpartition(".")[2], kind.partition(",")[0], _ESCAPED.sub(_unescaped, value).removeprefix("tel:").strip()


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found.group(1) in "nN" else found.group(1)


def _typed(kind: str) -> dict[str, str]:
    return {"type": kind} if kind else {}
