"""Slack's own markup: read as plain words, and kept from being read into ours.

https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re

_LINK = re.compile(r"<([^<>|\n]{1,3000})(?:\|([^<>\n]{0,3000}))?>")
_USER = re.compile(r"<@([UW][A-Z0-9]{1,40})(?:\|[^<>\n]{0,3000})?>")
MOST_MENTIONS = 20


def words(text: str) -> str:
    """What people see: names and addresses instead of ``<...>``, and the three escaped characters themselves."""
    if "<" in text:
        text = _LINK.sub(_shown, text)
    if "&" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return text


def mentions(text: str) -> str:
    """The ids of the users a text mentions, with spaces between them."""
    found = _USER.findall(text) if "<@" in text else ()
    return " ".join(list(dict.fromkeys(found))[:MOST_MENTIONS])


def escaped(text: str) -> str:
    """Words that Slack must not read as markup of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shown(found: re.Match[str]) -> str:
    target, label = found[1], found[2]
    match target[0]:
        case "@" | "#":
            return f"{target[0]}{label.lstrip('@#')}" if label else target
        case "!":
            return label or f"@{target[1:].partition('^')[0]}"
        case _:
            address = target.removeprefix("mailto:")
            return address if not label or label in (target, address) else f"{label} ({address})"
