"""The pure step: undo, timers, stores that forget, bodies by reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from omnibus.blobs import blob_uri
from omnibus.bus.port import Out, Record, StageSpec, StoreSpec, TaskId
from omnibus.errors import InvalidPayload
from omnibus.stage.contract import Ctx, Timer
from omnibus.stage.step import (
    DATAREF,
    StepContext,
    StepResult,
    Sweeper,
    datarefs,
    due_timers,
    entries_of,
    next_due_ms,
    prefix_end,
    run_step,
)

SPEC = StageSpec(name="s", inputs=("in",), stores=(StoreSpec(name="plain"), StoreSpec(name="short", ttl_s=60)))


class Memory(dict[bytes, bytes]):
    """A committed state in memory."""

    def scan(self, start: bytes, end: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        return sorted((key, value) for key, value in self.items() if start <= key < end)[:limit]

    def commit(self, delta: dict[bytes, bytes | None]) -> None:
        for key, value in delta.items():
            if value is None:
                self.pop(key, None)
            else:
                self[key] = value


class Scripted:
    def __init__(self, process: Callable[[Record, Ctx], None], fire: Callable[[Timer, Ctx], None]) -> None:
        self.process = process
        self.fire = fire


def step(
    backing: Memory,
    process: Callable[[Record, Ctx], None],
    values: Sequence[bytes] = (b"v",),
    *,
    now_ms: int = 1_000_000,
    fire: Callable[[Timer, Ctx], None] = lambda timer, ctx: None,
    timers_s: float = math.inf,
    **context: Any,
) -> StepResult:
    records = [Record("in", 0, n, 0, b"k", value) for n, value in enumerate(values)]
    made = StepContext(TaskId("s", 0), SPEC, backing, now_ms, {}, context.pop("bodies", {}), **context)
    due = due_timers(backing, now_ms, 100)
    result = run_step(Scripted(process, fire), SPEC, made, records, due, "dead", timers_s)
    backing.commit(result.delta)
    return result


def test_a_call_that_raises_is_undone_and_only_that_one() -> None:
    backing = Memory()

    def process(record: Record, ctx: Ctx) -> None:
        store = ctx.store("plain")
        store.put(b"last", record.value or b"")
        ctx.emit(Out("out", b"k", record.value))
        ctx.timer_set("t", b"k", 2_000_000 + record.offset)
        if record.value == b"bad":
            raise KeyError("bad")

    result = step(backing, process, [b"1", b"bad", b"2", b"bad"])
    assert [out.value for out in result.outs] == [b"1", b"2", b"bad", b"bad"]
    assert [out.topic for out in result.dead] == ["dead", "dead"]
    assert next_due_ms(backing) == 2_000_002
    step(backing, lambda record, ctx: ctx.emit(Out("out", None, ctx.store("plain").get(b"last"))))
    assert step(backing, lambda r, ctx: ctx.emit(Out("o", None, ctx.store("plain").get(b"last")))).outs[0].value == b"2"


def test_a_refused_output_is_undone_with_the_call_that_made_it() -> None:
    def check(out: Out) -> None:
        if out.value == b"large":
            raise InvalidPayload("out", "too large")

    def process(record: Record, ctx: Ctx) -> None:
        ctx.emit(Out("out", None, b"small"))
        ctx.emit(Out("out", None, record.value))

    result = step(Memory(), process, [b"large", b"fine"], check=check)
    assert [(out.topic, out.value) for out in result.outs] == [("out", b"small"), ("out", b"fine"), ("dead", b"large")]


def test_timers_fire_in_due_order_once_and_may_set_themselves_again() -> None:
    backing = Memory()
    fired: list[tuple[str, int]] = []

    def process(record: Record, ctx: Ctx) -> None:
        ctx.timer_set("b", b"k", 1_000_200)
        ctx.timer_set("a", b"k", 1_000_100)
        ctx.timer_set("c", b"k", 1_000_100)
        ctx.timer_cancel("c", b"k")

    def fire(timer: Timer, ctx: Ctx) -> None:
        fired.append((timer.kind, timer.due_ms))
        if timer.kind == "a" and len(fired) == 1:
            ctx.timer_set("a", b"k", 1_000_300)

    step(backing, process)
    step(backing, process, [], now_ms=1_000_099, fire=fire)
    assert fired == []
    step(backing, process, [], now_ms=1_000_250, fire=fire)
    step(backing, process, [], now_ms=1_000_400, fire=fire)
    assert fired == [("a", 1_000_100), ("b", 1_000_200), ("a", 1_000_300)]
    assert dict(backing) == {}


def test_a_timer_that_another_cancels_or_moves_in_the_same_step_does_not_fire() -> None:
    backing = Memory()
    fired: list[tuple[str, int]] = []

    def process(record: Record, ctx: Ctx) -> None:
        for number, kind in enumerate(("first", "cancelled", "moved", "last")):
            ctx.timer_set(kind, b"k", 1_000_100 + number)

    def fire(timer: Timer, ctx: Ctx) -> None:
        fired.append((timer.kind, timer.due_ms))
        if timer.kind == "first":
            ctx.timer_cancel("cancelled", b"k")
            ctx.timer_set("moved", b"k", 2_000_000)

    step(backing, process)
    step(backing, process, [], now_ms=1_000_200, fire=fire)
    assert fired == [("first", 1_000_100), ("last", 1_000_103)]
    assert next_due_ms(backing) == 2_000_000


def test_after_an_outage_timers_fire_in_due_order_with_those_that_the_late_ones_set() -> None:
    """A warning told late sets the breach, which is late as well: it comes before what was due after it."""
    backing = Memory()
    fired: list[tuple[bytes, int]] = []

    def process(record: Record, ctx: Ctx) -> None:
        ctx.timer_set("warn", b"a", 1_000_100)
        ctx.timer_set("warn", b"b", 1_000_150)
        ctx.timer_set("warn", b"c", 1_000_300)

    def fire(timer: Timer, ctx: Ctx) -> None:
        fired.append((timer.key, timer.due_ms))
        if timer.kind == "warn" and timer.key != b"c":
            ctx.timer_set("breach", timer.key, timer.due_ms + 100)
        if timer.kind == "breach" and timer.key == b"a":
            ctx.timer_set("undone", b"a", timer.due_ms + 1)
            raise KeyError("a bug")

    step(backing, process)
    for _ in range(2):
        step(backing, process, [], now_ms=2_000_000, fire=fire)
    assert fired == [
        (b"a", 1_000_100), (b"b", 1_000_150), (b"a", 1_000_200), (b"b", 1_000_250), (b"c", 1_000_300)
    ]  # fmt: skip
    assert dict(backing) == {}


def test_timers_leave_time_to_the_input_and_what_did_not_fire_stays_set() -> None:
    backing = Memory()
    fired: list[bytes] = []
    seen: list[bytes | None] = []

    def process(record: Record, ctx: Ctx) -> None:
        for name in (b"a", b"b", b"c"):
            ctx.timer_set("t", name, 1_000_100)

    step(backing, process)
    for _ in range(3):
        step(
            backing,
            lambda record, ctx: seen.append(record.value),
            now_ms=1_000_200,
            fire=lambda timer, ctx: fired.append(timer.key),
            timers_s=0,
        )
    assert fired == [b"a", b"b", b"c"]
    assert seen == [b"v", b"v", b"v"]
    assert dict(backing) == {}


def test_what_timers_will_ask_for_is_told_before_they_come() -> None:
    spec = StageSpec(name="s", inputs=("in",), stores=(StoreSpec(name="a"), StoreSpec(name="b", of_timers=True)))
    backing = Memory()
    context = StepContext(TaskId("s", 0), spec, backing, 1_000_000, {}, {})
    for number in range(100):
        context.timer_set("t", b"%03d" % number, 1_000_100)
        context.store("b").put(b"%03d" % number, b"v")
    backing.commit(context.overlay.delta)
    told: list[bytes] = []

    due = due_timers(backing, 1_000_200, ahead=lambda some: told.extend(entries_of(spec, some)))
    assert next(due).key == b"000"
    assert len(told) < 100
    assert len(list(due)) == 99
    assert all(backing[key] == b"v" for key in told)
    assert len(told) == 100


def test_a_timer_that_sets_itself_in_the_past_does_not_hold_up_the_step() -> None:
    backing = Memory()
    fired: list[int] = []

    def fire(timer: Timer, ctx: Ctx) -> None:
        fired.append(timer.due_ms)
        ctx.timer_set("t", b"k", timer.due_ms)

    step(backing, lambda record, ctx: ctx.timer_set("t", b"k", 1_000_100))
    step(backing, lambda record, ctx: None, now_ms=1_000_200, fire=fire)
    assert fired == [1_000_100]
    assert next_due_ms(backing) == 1_000_100


def test_a_store_with_a_ttl_forgets_and_the_sweeper_cleans_up() -> None:
    backing = Memory()
    step(backing, lambda record, ctx: ctx.store("short").put(b"k", b"v"))
    seen: list[bytes | None] = []
    look = lambda record, ctx: seen.append(ctx.store("short").get(b"k"))  # noqa: E731  # a stage in one line
    step(backing, look, now_ms=1_059_000)
    step(backing, look, now_ms=1_060_000)
    assert seen == [b"v", None]
    assert Sweeper(SPEC).expired(backing, 1_059_000) == []
    assert Sweeper(SPEC).expired(backing, 1_060_000) == list(backing)


def test_scans_see_own_writes_and_own_deletes() -> None:
    backing = Memory()
    step(backing, lambda record, ctx: ctx.store("plain").put(record.value or b"", b"0"), [b"a1", b"a2", b"b"])
    found: list[tuple[bytes, bytes]] = []

    def process(record: Record, ctx: Ctx) -> None:
        store = ctx.store("plain")
        store.delete(b"a1")
        store.put(b"a3", b"1")
        found.extend(store.scan(b"a"))

    step(backing, process)
    assert found == [(b"a2", b"0"), (b"a3", b"1")]


def test_bodies_come_from_the_record_or_from_the_blob_it_refers_to() -> None:
    uri = blob_uri(b"large body")
    by_ref = Record("in", 0, 0, 0, b"k", b"", ((DATAREF, uri.encode()),))
    lost = Record("in", 0, 1, 0, b"k", b"", ((DATAREF, b"blob:sha256:unknown"),))
    context = StepContext(TaskId("s", 0), SPEC, Memory(), 0, {}, {uri: b"large body"})
    assert datarefs([by_ref]) == {uri}
    assert context.body(by_ref) == b"large body"
    assert context.body(Record("in", 0, 0, 0, b"k", b"inline")) == b"inline"
    with pytest.raises(InvalidPayload):
        context.body(lost)


def test_the_end_of_a_prefix_is_above_all_that_start_with_it() -> None:
    assert prefix_end(b"a") == b"b"
    assert prefix_end(b"a\xff\xff") == b"b"
