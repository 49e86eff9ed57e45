"""Who wrote, from whatever the body says of them."""

from __future__ import annotations

import re
from typing import Any

from connectors.webhook.items import Item, found_at
from connectors.webhook.settings import MappingSettings, Paths
from omnibus.channel.events import Party

MAX_NAME_CHARS = 200
MAX_VALUE_CHARS = 512
_EMAIL = re.compile(r"[^\s@<>\"]{1,64}@[^\s@<>\"]{1,253}")
_PHONE = re.compile(r"\+[0-9][0-9 ().-]{4,24}")


def sender_of(item: Item, mapping: MappingSettings) -> Party | None:
    """The sender, None when nothing tells. An id of the sender's own system comes before a mail address or phone."""
    for paths in (mapping.sender_id, mapping.sender_email, mapping.sender_phone):
        value = text_at(item.data, paths)
        if value is not None and len(value) <= MAX_VALUE_CHARS:
            name = text_at(item.data, mapping.sender_name)
            return _party(value, None if name is None else name[:MAX_NAME_CHARS])
    return None


def _party(value: str, name: str | None) -> Party:
    if _EMAIL.fullmatch(value):
        return Party(scheme="email", value=value, normalized=value.lower(), display_name=name)
    if _PHONE.fullmatch(value):
        digits = "+" + "".join(character for character in value if character.isdigit())
        return Party(scheme="e164", value=value, normalized=digits, display_name=name)
    return Party(scheme="opaque", value=value, display_name=name)


def text_at(data: Any, paths: Paths) -> str | None:
    """The first of the paths that holds words or a whole number, as text that is not empty.

    A fraction is no id, and a whole number beyond 64 bits has already lost its digits when it gets here.
    """
    for value in found_at(data, paths):
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None
