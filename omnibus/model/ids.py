"""Deterministic ids: the same raw event gives the same ids, whoever normalises it and however often.

Every id is a hash over length-framed parts, so that no two lists of parts can run together.
"""

from __future__ import annotations

import os
from functools import lru_cache
from hashlib import blake2b


def derive(prefix: str, *parts: str | int | None) -> str:
    """An id of 32 hexadecimal digits behind `prefix`, a function of `parts` alone; None differs from ''."""
    framed = ""
    for part in parts:
        if part is None:
            framed += "~"
        else:
            text = part if type(part) is str else str(part)
            framed += f"{len(text)}:{text}"
    digest = blake2b(framed.encode("utf-8", "surrogatepass"), digest_size=16, person=_person(prefix))
    return f"{prefix}_{digest.hexdigest()}"


@lru_cache(maxsize=64)
def _person(prefix: str) -> bytes:
    return prefix.encode()[:16]


def event_id(account: str, native_id: str, kind: str, revision: str | int = 0) -> str:
    """The id of a unified event: what happened (`kind`) to which native event, in which revision."""
    return derive("evt", account, native_id, kind, str(revision))


def message_id(account: str, native_id: str) -> str:
    """The id of a message that the provider names `native_id`."""
    return derive("msg", account, native_id)


def conversation_id(account: str, thread: str, opening_message: str) -> str:
    """The id of the conversation that `opening_message` opened in a native thread."""
    return derive("conv", account, thread, opening_message)


@lru_cache(maxsize=16_384)
def identity_id(channel: str, account: str | None, scheme: str, normalized: str) -> str:
    """The id of a handle on a channel; `account` is None where the channel's identities are global."""
    return derive("idn", channel, account, scheme, normalized)


@lru_cache(maxsize=16_384)
def contact_id(identity: str) -> str:
    """The id of the person first met through that identity."""
    return derive("cnt", identity)


def attachment_id(message: str, index: int) -> str:
    """The id of the attachment at that place (from 0) of a message."""
    return derive("att", message, index)


def random_id(prefix: str) -> str:
    """An id for something that happens here and now and is never derived again (a raw event, a command)."""
    return f"{prefix}_{os.urandom(16).hex()}"
