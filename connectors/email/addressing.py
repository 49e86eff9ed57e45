"""Our own marks: reply tokens in addresses, Message-IDs that we mint, and which mailbox an address belongs to.

Both marks carry the conversation, so an answer finds it even where a mail program drops `References`. A conversation
id is 128 bits of hash: nobody guesses one.
"""

from __future__ import annotations

import re

ORIGIN_HEADER = "X-Omnibus-Origin"
_CONVERSATION = "conv_"
_TOKEN = re.compile(r"\+c-([0-9a-f]{32})@", re.IGNORECASE)
_MINTED = re.compile(r"^omb\.(msg_[0-9a-f]{32})\.([0-9a-f]{32})@", re.IGNORECASE)


def without_tag(address: str) -> str:
    """The mailbox behind a plus-address, in lower case: `Help+anything@Example.com` is `help@example.com`."""
    local, at, domain = address.strip().lower().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"


def reply_address(mailbox: str, conversation_id: str) -> str | None:
    """The plus-address whose answers belong to that conversation; None when the id is not one of ours."""
    token = conversation_id.removeprefix(_CONVERSATION)
    local, _, domain = mailbox.rpartition("@")
    # RFC 5321 section 4.5.3.1.1: a local part has 64 characters at most.
    if token == conversation_id or len(local) + len(token) + 3 > 64:
        return None
    return f"{local}+c-{token}@{domain}"


def conversation_in_address(address: str) -> str | None:
    """The conversation that a reply token names."""
    found = _TOKEN.search(address)
    return f"{_CONVERSATION}{found.group(1).lower()}" if found else None


def mint_message_id(message_id: str, conversation_id: str, domain: str) -> str:
    """The Message-ID of an outgoing message, without brackets: the same each time it is tried."""
    return f"omb.{message_id}.{conversation_id.removeprefix(_CONVERSATION)}@{domain}"


def minted(native_id: str) -> tuple[str, str] | None:
    """Our message id and conversation id in a Message-ID that we minted."""
    found = _MINTED.match(native_id)
    return (found.group(1).lower(), f"{_CONVERSATION}{found.group(2).lower()}") if found else None
