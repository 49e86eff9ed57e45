"""The chat history: a compacted table of what people see, newest entry of each thread first.

Table key: ``account \\0 thread \\0 <milliseconds, counted down, 13 digits> \\0 message id``. Counting down puts the
newest entries first in key order, which is the order a scan with a limit gives them in.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import msgspec

from connectors._shared.live.frames import Entry
from omnibus import clock
from omnibus.bus.port import Out, ReadTable, Record

TABLE = "history"
PAGE = 50
MAX_SCAN = 1_000
"""How far back a person can scroll, and how far a file is looked for."""
OVERLAP_MS = 10 * 60 * 1000
"""A reply stands where it was written, which may be before the last entry that somebody saw: it is sent again."""

_LAST_MS = 9_999_999_999_999
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


def entry_key(at_ms: int, entry_id: str) -> str:
    """Where an entry stands, as its reader sees it."""
    return f"{at_ms:013d}/{entry_id}"


def time_of(key: str) -> int:
    """The milliseconds in a key."""
    return int(key[:13])


def history_out(topic: str, account: str, thread: str, entry: Entry) -> Out:
    """The record that puts an entry into the history; writing it twice changes nothing."""
    place = f"{_LAST_MS - time_of(entry.key):013d}\0{entry.id}"
    return Out(topic=topic, key=_prefix(account, thread) + place.encode(), value=_encoder.encode(entry))


def entry_of(record: Record, account: str) -> tuple[str, Entry] | None:
    """The thread and entry of a history record; None for another account's, and for a removal."""
    if record.key is None or record.value is None or not record.key.startswith(f"{account}\0".encode()):
        return None
    thread = record.key.split(b"\0")[1].decode()
    return thread, _decoder.decode(record.value)


class History:
    """Reads the histories of one account. Entries are given oldest first; what is older than `keep` is not shown."""

    def __init__(self, table: ReadTable, account: str, keep: timedelta) -> None:
        self.table = table
        self._account = account
        self._keep = keep

    @property
    def begins_ms(self) -> int:
        """What was said before is over."""
        return clock.now_ms() - int(self._keep.total_seconds() * 1000)

    def latest(self, thread: str, limit: int) -> list[Entry]:
        """The newest `limit` entries."""
        begins_ms = self.begins_ms
        found = [_decoder.decode(value) for _, value in self.table.scan(_prefix(self._account, thread), limit)]
        return in_order(entry for entry in found if time_of(entry.key) >= begins_ms)

    def missed(self, thread: str, after: str | None) -> tuple[list[Entry], bool]:
        """What somebody who last saw the entry `after` needs, and whether there may be a gap before it."""
        if after is None:
            return self.latest(thread, PAGE), False
        found = self.latest(thread, PAGE * 4)
        since = time_of(after) - OVERLAP_MS
        gap = len(found) == PAGE * 4 and found[0].key > after
        return [entry for entry in found if time_of(entry.key) >= since], gap

    def before(self, thread: str, key: str, limit: int) -> tuple[list[Entry], bool]:
        """The newest `limit` entries before `key`, and whether there are still older ones."""
        older = [entry for entry in self.latest(thread, MAX_SCAN) if entry.key < key]
        return older[-limit:], len(older) > limit

    def find(self, thread: str, entry_id: str) -> Entry | None:
        """The entry with that id, if it is among the newest ones."""
        return next((entry for entry in self.latest(thread, PAGE * 4) if entry.id == entry_id), None)

    def file(self, thread: str, uri: str) -> tuple[str, str] | None:
        """Name and MIME type of a file of this thread; None when it has no such file."""
        for entry in self.latest(thread, MAX_SCAN):
            for file in entry.files:
                if file.uri == uri:
                    return file.name, file.mime
        return None


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Oldest first; of two entries with one id (a message stored by two processes) the older stays."""
    once: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: entry.key):
        once.setdefault(entry.id, entry)
    return list(once.values())


def _prefix(account: str, thread: str) -> bytes:
    return f"{account}\0{thread}\0".encode()
