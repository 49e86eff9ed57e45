"""The window of a sink: order for each key, batches, acknowledgements out of order, the position."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from omnibus.bus.port import Record, SinkSpec
from omnibus.stage.window import Call, Progress, Window, backoff_s


def record(offset: int, key: bytes | None = b"k", topic: str = "in", size: int = 1) -> Record:
    return Record(topic, 0, offset, 0, key, b"x" * size)


def window(position: int = 0, acked: tuple[int, ...] = (), max_bytes: int = 10_000_000, **spec: Any) -> Window:
    settings: dict[str, Any] = {"name": "sink", "inputs": ("in",)} | spec
    return Window(SinkSpec(**settings), {"in": Progress(position, acked)}, max_bytes)


def offsets(call: Call | None) -> list[int] | None:
    return None if call is None else [record.offset for record in call.records]


def taken(from_window: Window, now_s: float = 0.0) -> Call:
    call = from_window.take(now_s)
    assert call is not None
    return call


def test_records_of_one_key_go_one_after_the_other() -> None:
    w = window()
    for offset, key in enumerate([b"a", b"b", b"a"]):
        w.admit(record(offset, key))
    first, second = taken(w), taken(w)
    assert (offsets(first), offsets(second), w.take(0)) == ([0], [1], None)
    w.done(first)
    assert offsets(w.take(0)) == [2]


def test_the_position_never_passes_what_is_not_done() -> None:
    w = window(position=10)
    for offset in (10, 11, 12):
        w.admit(record(offset, str(offset).encode()))
    slow, b, c = taken(w), taken(w), taken(w)
    w.done(c)
    w.done(b)
    assert w.progress() == {"in": Progress(10, (11, 12))}
    w.done(slow)
    assert w.progress() == {"in": Progress(13)}


def test_what_was_done_in_an_earlier_life_is_not_delivered_again() -> None:
    w = window(position=10, acked=(11, 13))
    assert [w.admit(record(offset, str(offset).encode())) for offset in range(10, 14)] == [True, False, True, False]
    first, second = taken(w), taken(w)
    assert (offsets(first), offsets(second), w.take(0)) == ([10], [12], None)
    w.done(first)
    assert w.progress() == {"in": Progress(12, (13,))}
    w.done(second)
    assert w.progress() == {"in": Progress(14)}


def test_a_batch_holds_one_key_or_with_order_off_any() -> None:
    for by_key, expected in ((True, [0, 2]), (False, [0, 1, 2])):
        w = window(by_key=by_key, max_batch=3)
        for offset, key in enumerate([b"a", b"b", b"a"]):
            w.admit(record(offset, key))
        assert offsets(taken(w)) == expected


def test_records_without_a_key_wait_for_nobody() -> None:
    w = window()
    w.admit(record(0, None))
    w.admit(record(1, None))
    assert [offsets(w.take(0)), offsets(w.take(0))] == [[0], [1]]


def test_a_retry_waits_until_its_time_and_only_its_key_does() -> None:
    w = window()
    for offset, key in enumerate([b"a", b"a", b"b"]):
        w.admit(record(offset, key))
    w.retry(taken(w), at_s=5.0)
    assert offsets(w.take(1.0)) == [2]
    assert (w.take(1.0), w.next_due()) == (None, 5.0)
    again = taken(w, 5.0)
    assert (offsets(again), again.attempts) == ([0], 2)


def test_an_untried_call_does_not_count() -> None:
    w = window()
    w.admit(record(0))
    w.untried(taken(w), at_s=0.0)
    assert taken(w).attempts == 1


def test_a_failed_batch_is_tried_one_by_one_and_later_ones_are_batched_again() -> None:
    w = window(max_batch=3)
    for offset in range(5):
        w.admit(record(offset))
    w.one_by_one(taken(w), at_s=0.0)
    seen = []
    while (call := w.take(0.0)) is not None:
        seen.append(offsets(call))
        w.done(call)
    assert seen == [[0], [1], [2], [3, 4]]


def test_the_window_is_bounded_in_records_and_in_bytes() -> None:
    w = window(window=3)
    for offset in range(3):
        w.admit(record(offset, str(offset).encode()))
    assert w.room() == 0
    slow, other = taken(w), taken(w)
    w.done(other)
    assert w.room() == 0, "a slow key holds the rest back at the width of the window"
    w.done(slow)
    assert w.room() == 2

    heavy = window(max_bytes=1_000)
    heavy.admit(record(0, size=900))
    assert heavy.room() == 0


def test_a_smaller_window_than_in_the_earlier_life_still_moves() -> None:
    w = window(position=0, acked=tuple(range(1, 50)), window=5)
    assert w.room() == 5


def test_gaps_in_the_log_are_passed() -> None:
    w = window()
    w.admit(record(0))
    w.admit(record(7))
    w.skip_to("in", 20)
    for _ in range(2):
        w.done(taken(w))
    assert w.progress() == {"in": Progress(20)}


def test_what_was_done_and_then_taken_by_retention_is_forgotten() -> None:
    w = window(position=0, acked=(3, 6))
    w.admit(record(0))
    w.skip_to("in", 5)
    assert w.progress() == {"in": Progress(0, (6,))}
    w.done(taken(w))
    w.skip_to("in", 9)
    assert w.progress() == {"in": Progress(9)}


def test_keys_are_exclusive_over_all_inputs() -> None:
    w = Window(SinkSpec(name="s", inputs=("in", "more")), {"in": Progress(0), "more": Progress(5)})
    w.admit(record(0, topic="in"))
    w.admit(record(5, topic="more"))
    first = taken(w)
    assert w.take(0) is None
    w.done(first)
    assert w.progress() == {"in": Progress(1), "more": Progress(5)}


def test_back_off_grows_is_capped_jittered_and_never_shorter_than_asked() -> None:
    assert [backoff_s(n, (1.0, 10.0), 1.0) for n in (1, 2, 3, 4, 5, 500)] == [1, 2, 4, 8, 10, 10]
    assert backoff_s(3, (1.0, 10.0), 0.25) == 1.0
    assert 60.0 <= backoff_s(1, (1.0, 10.0), 0.5, after_s=60.0) < 61.0


@given(st.data())
def test_any_course_of_events_delivers_each_record_once_in_order_of_its_key(data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=30))
    w = window(max_batch=data.draw(st.integers(1, 4)), window=data.draw(st.integers(1, 12)))
    delivered: dict[bytes, list[int]] = {b"a": [], b"b": [], b"c": []}
    done: set[int] = set()
    running: list[Call] = []
    now, at = 0.0, 0
    while len(done) < len(keys):
        now += 1.0
        while at < len(keys) and w.room():
            w.admit(record(at, keys[at]))
            at += 1
        while (call := w.take(now)) is not None:
            running.append(call)
        call = running.pop(data.draw(st.integers(0, len(running) - 1)) if len(running) > 1 else 0)
        match data.draw(st.sampled_from(["done", "done", "retry", "one by one"])):
            case "retry":
                w.retry(call, now)
            case "one by one":
                w.one_by_one(call, now)
            case _:
                for entry in call.records:
                    assert entry.key is not None
                    delivered[entry.key].append(entry.offset)
                    done.add(entry.offset)
                w.done(call)
        position, acked = w.progress()["in"].position, set(w.progress()["in"].acked)
        assert set(range(position)) | acked == done
    assert all(found == [n for n, k in enumerate(keys) if k == key] for key, found in delivered.items())


def test_what_the_sink_does_not_want_is_passed_without_a_call() -> None:
    w = window(wants=lambda record: record.offset % 2 == 0)
    assert [w.admit(record(offset, b"a")) for offset in range(4)] == [True, False, True, False]
    first = taken(w)
    assert (offsets(first), w.progress()) == ([0], {"in": Progress(0, (1, 3))})
    w.done(first)
    w.done(taken(w))
    assert (w.take(0), w.progress(), w.room()) == (None, {"in": Progress(4)}, window().room())
