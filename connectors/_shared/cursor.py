"""What a poller stored of where it was, as JSON."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from omnibus.errors import Misconfigured

T = TypeVar("T")


def stored_cursor(data: bytes, kind: type[T]) -> T:
    """The cursor in `data`. Raises Misconfigured when it is another channel's: then the account was renamed."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError:
        raise Misconfigured("cursor", "the stored cursor of this account is not of this channel") from None
