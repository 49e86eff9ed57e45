"""The history: the newest first in the table, the oldest first for people, each message once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from connectors._shared.live.frames import Entry
from connectors._shared.live.history import OVERLAP_MS, PAGE, History, entry_key, entry_of, history_out, in_order
from omnibus import clock
from omnibus.bus.port import Record

NOW = 1_767_603_600_000
KEPT = timedelta(days=36_500)


class Table:
    """A global table, as far as it goes."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def put(self, account: str, thread: str, entry: Entry) -> None:
        out = history_out("history", account, thread, entry)
        assert out.key is not None
        assert out.value is not None
        self.rows[out.key] = out.value

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def scan(self, prefix: bytes = b"", limit: int = 1_000) -> Sequence[tuple[bytes, bytes]]:
        return [(key, value) for key, value in sorted(self.rows.items()) if key.startswith(prefix)][:limit]


def entry(at_ms: int, entry_id: str) -> Entry:
    return Entry(key=entry_key(at_ms, entry_id), id=entry_id, author="agent", text=entry_id)


def history_of(count: int) -> History:
    table = Table()
    for number in range(count):
        table.put("site", "v:1", entry(NOW + number * 1_000, f"m{number}"))
    table.put("site", "v:2", entry(NOW, "of somebody else"))
    table.put("site2", "v:1", entry(NOW, "of another account"))
    return History(table, "site", KEPT)


def test_the_latest_are_given_oldest_first() -> None:
    assert [one.id for one in history_of(9).latest("v:1", 3)] == ["m6", "m7", "m8"]


def test_a_thread_never_shows_another_ones_messages() -> None:
    assert [one.id for one in history_of(0).latest("v:2", 10)] == ["of somebody else"]


def test_a_reply_written_before_the_last_seen_message_is_not_missed() -> None:
    """It was written at 9:00, and delivered after the visitor's message of 9:01."""
    table = Table()
    table.put("site", "v:1", entry(NOW, "late reply"))
    table.put("site", "v:1", entry(NOW + 60_000, "seen"))
    missed, gap = History(table, "site", KEPT).missed("v:1", entry_key(NOW + 60_000, "seen"))
    assert [one.id for one in missed] == ["late reply", "seen"]
    assert not gap


def test_who_was_away_for_long_is_told_of_the_gap() -> None:
    history = history_of(PAGE * 5)
    missed, gap = history.missed("v:1", entry_key(NOW - OVERLAP_MS, "long ago"))
    assert gap
    assert len(missed) == PAGE * 4
    assert not history.missed("v:1", entry_key(NOW + PAGE * 5_000, "now"))[1]


def test_pages_go_back_to_the_first_message() -> None:
    history = history_of(7)
    page, more = history.before("v:1", entry_key(NOW + 5_000, "m5"), 3)
    assert ([one.id for one in page], more) == (["m2", "m3", "m4"], True)
    page, more = history.before("v:1", page[0].key, 3)
    assert ([one.id for one in page], more) == (["m0", "m1"], False)


def test_a_message_stored_by_two_processes_is_shown_once() -> None:
    assert in_order([entry(NOW + 5, "a"), entry(NOW, "a"), entry(NOW + 1, "b")]) == [
        entry(NOW, "a"),
        entry(NOW + 1, "b"),
    ]


def test_a_record_is_known_by_its_account_and_a_removal_is_none() -> None:
    out = history_out("history", "site", "u:customer/17", entry(NOW, "a"))
    record = Record(topic="history", partition=0, offset=0, ts_ms=0, key=out.key, value=out.value)
    removed = Record(topic="history", partition=0, offset=1, ts_ms=0, key=out.key, value=None)
    assert entry_of(record, "site") == ("u:customer/17", entry(NOW, "a"))
    assert entry_of(record, "sit") is None
    assert entry_of(removed, "site") is None


def test_what_is_too_old_is_not_shown() -> None:
    history = History(history_of(9).table, "site", timedelta(seconds=5))
    with clock.use(clock.ManualClock(clock.from_ms(NOW + 8_000))):
        assert [one.id for one in history.latest("v:1", 9)] == ["m3", "m4", "m5", "m6", "m7", "m8"]
        assert history.find("v:1", "m2") is None
