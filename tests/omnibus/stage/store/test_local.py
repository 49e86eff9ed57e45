"""The local copy of a task's state: whole or not at all, one holder, made anew when damaged."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnibus.stage.store import local
from omnibus.stage.store.local import LocalStore


def test_what_was_applied_is_there_after_it_was_closed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "s.sqlite")
    store.apply({b"a": b"1", b"b": b"2", b"c": b"3"}, {"position_at": b"7"})
    store.apply({b"b": None, b"c": b"33"}, {"position_at": b"9"})
    store.close()
    store = LocalStore(tmp_path / "s.sqlite")
    assert store.scan(b"", None, 10) == [(b"a", b"1"), (b"c", b"33")]
    assert (store.get(b"b"), store.get(b"c"), store.meta("position_at"), store.count()) == (None, b"33", b"9", 2)
    store.close()


def test_a_crash_leaves_an_older_copy_and_says_how_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of several commits gather in memory; with the last of them the file never says that it has them."""
    monkeypatch.setattr(local, "_GATHER_ROWS", 4)
    store = LocalStore(tmp_path / "s.sqlite")
    seen = []
    for n in range(6):
        store.apply({b"k%d" % n: b"v", b"last": b"%d" % n}, {"position_at": b"%d" % n})
        after_a_crash = tmp_path / f"copy{n}" / "s.sqlite"
        shutil.copytree(tmp_path, after_a_crash.parent, ignore=lambda _, names: [x for x in names if "copy" in x])
        left = LocalStore(after_a_crash)
        seen.append((left.meta("position_at"), left.get(b"last"), left.count()))
        left.close()
        assert (store.meta("position_at"), store.get(b"last")) == (b"%d" % n, b"%d" % n)
    assert seen == [(None, None, 0)] * 2 + [(b"2", b"2", 4)] * 3 + [(b"5", b"5", 7)]
    store.close()


def test_a_full_disk_at_the_end_leaves_an_older_copy_and_no_lock(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "s.sqlite")
    store.apply({b"a": b"1"}, {"position_at": b"1"})
    store.flush()
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count={pages}")
    store.apply({b"b": b"x" * 500_000}, {"position_at": b"2"})
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.flush()
    store.close()
    store = LocalStore(tmp_path / "s.sqlite")
    assert (store.path, store.meta("position_at"), store.get(b"b")) == (tmp_path / "s.sqlite", b"1", None)
    store.close()


def test_changes_wait_a_second_at_most_while_there_are_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_GATHER_S", 0.0)
    store = LocalStore(tmp_path / "s.sqlite")
    store.apply({b"a": b"1"}, {"position_at": b"1"})
    assert store._scan_file(b"", None, 10) == [(b"a", b"1")]
    store.close()


def test_a_file_in_other_hands_is_left_alone(tmp_path: Path) -> None:
    """A stopped process may come back to it: whoever comes meanwhile works on a file of its own."""
    first = LocalStore(tmp_path / "s.sqlite")
    first.apply({b"a": b"first"}, {})
    second = LocalStore(tmp_path / "s.sqlite")
    assert second.get(b"a") is None
    second.apply({b"a": b"second"}, {})
    assert first.get(b"a") == b"first"
    second.close()
    first.close()
    assert not list(tmp_path.glob("*.private*"))


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "s.sqlite").write_bytes(b"this is not a database" * 400)
    store = LocalStore(tmp_path / "s.sqlite")
    assert store.count() == 0
    store.apply({b"a": b"1"}, {})
    store.close()


def test_wiping_forgets_everything(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "s.sqlite")
    store.apply({b"a": b"1"}, {"position_at": b"1"})
    store.wipe()
    assert (store.get(b"a"), store.count(), store.meta("position_at")) == (None, 0, None)
    store.close()


def test_memory_in_front_of_the_file_is_bounded_and_never_stale(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "s.sqlite", cache_bytes=2_000)
    for n in range(200):
        store.apply({f"k{n}".encode(): b"v" * 50}, {})
        assert store.get(b"k0") == b"v" * 50
    store.load({b"k0": b"new", b"k1": None}, {})
    assert (store.get(b"k0"), store.get(b"k1"), store.count()) == (b"new", None, 199)
    store.close()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.dictionaries(st.binary(min_size=1, max_size=3), st.none() | st.binary(max_size=5)), max_size=12),
    st.integers(1, 20),
)
def test_it_is_a_sorted_dictionary(deltas: list[dict[bytes, bytes | None]], gather: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "_GATHER_ROWS", gather)
        store = LocalStore(Path(folder) / "s.sqlite", cache_bytes=600)
        model: dict[bytes, bytes] = {}
        for n, delta in enumerate(deltas):
            (store.load if n % 3 == 2 else store.apply)(delta, {})
            for key, value in delta.items():
                if value is None:
                    model.pop(key, None)
                else:
                    model[key] = value
            assert store.scan(b"", None, 1_000) == sorted(model.items())
            assert (
                store.scan(b"\x20", b"\xa0", 3)
                == [item for item in sorted(model.items()) if b"\x20" <= item[0] < b"\xa0"][:3]
            )
            assert all(store.get(key) == model.get(key) for key in delta)
        store.close()
