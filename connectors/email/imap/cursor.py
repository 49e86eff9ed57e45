"""What an account remembers between two runs: how far each of its folders is read.

It is stored with the mails, in one step.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable

import msgspec

from connectors._shared.mime.headers import split_block
from connectors.email.imap.uids import Range
from connectors.email.mail import message_ids

KNOWN = 10_000
"""Fingerprints kept for each account: by them mails are known again when a server numbers its mails anew."""
_FINGERPRINT_BYTES = 8


class Folder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One folder. Every mail with a UID below `next_uid` is stored, or was there before we came, or is in a range here.

    missing: UIDs to fetch as new mail (found when the server had numbered its mails anew).
    backfill: UIDs still to fetch of the mail that was there before; `backfilled` says for which setting.
    began_uid, began_at: the first UID that was new when we came, and the arrival time of the newest mail then.
    acted: UIDs that are stored, and that the setting `after` has not been carried out for with certainty.
    alone_until: mails up to this UID are fetched one by one, because one of them broke the connection.
    tries: how often the mail with that UID did so.
    modseq: the number of the folder's latest change that is taken into account here; 0 where its server counts none.
    known: fingerprints of stored mails, oldest first; `floor_at` is the newest arrival time among those forgotten.
    """

    validity: int
    next_uid: int
    missing: tuple[Range, ...] = ()
    backfill: tuple[Range, ...] = ()
    backfilled: str = ""
    began_uid: int = 1
    began_at: int = 0
    acted: tuple[Range, ...] = ()
    alone_until: int = 0
    tries: dict[int, int] = {}
    known: bytes = b""
    floor_at: int = 0
    modseq: int = 0


class Cursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All folders of an account, by name."""

    folders: dict[str, Folder] = {}


def read_cursor(data: bytes | None) -> Cursor:
    """The stored cursor; an empty one at first."""
    return Cursor() if data is None else msgspec.msgpack.decode(data, type=Cursor)


def write_cursor(folders: dict[str, Folder]) -> bytes:
    """The stored form."""
    return msgspec.msgpack.encode(Cursor(folders=folders))


def fingerprint(mail: bytes) -> bytes:
    """What a mail is known by wherever it lies: its Message-ID, sender and date, else all of it but for line ends."""
    return fingerprint_of_id(mail) or _hashed(mail.replace(b"\r", b""))


def fingerprint_of_id(header: bytes) -> bytes | None:
    """The fingerprint that a header block gives; None when it has no Message-ID.

    Sender and date belong to it: programs that give all their mails one id would have one mail for ever.
    """
    headers, _ = split_block(header)
    found = next(iter(message_ids(headers.every_raw("message-id"))), None)
    if found is None:
        return None
    said = (found, headers.raw("from") or "", headers.raw("date") or "")
    return _hashed("\0".join(said).encode("utf-8", "replace"))


def _hashed(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:_FINGERPRINT_BYTES]


class Memory:
    """The newest fingerprints of a folder. `floor_at` rises with what is forgotten."""

    def __init__(self, stored: bytes, floor_at: int, limit: int) -> None:
        pieces = [stored[at : at + _FINGERPRINT_BYTES] for at in range(0, len(stored), _FINGERPRINT_BYTES)]
        self._order = deque(pieces)
        self._set = set(pieces)
        self._limit = limit
        self.floor_at = floor_at

    def __contains__(self, mark: bytes) -> bool:
        return mark in self._set

    def add(self, marks: Iterable[bytes], arrived_at: int) -> None:
        """Remember mails; `arrived_at` (seconds) is when the newest of them arrived."""
        for mark in marks:
            if mark not in self._set:
                self._set.add(mark)
                self._order.append(mark)
        while len(self._order) > self._limit:
            self._set.discard(self._order.popleft())
            self.floor_at = max(self.floor_at, arrived_at)

    def stored(self) -> bytes:
        return b"".join(self._order)
