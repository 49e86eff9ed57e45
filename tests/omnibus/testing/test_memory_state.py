"""State in memory behaves as the engines' state does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibus.bus.port import Out, Record, StageSpec, StoreSpec
from omnibus.stage.contract import Ctx, Timer
from omnibus.testing.memory_state import MemoryBacking, run

SPEC = StageSpec(name="counting", inputs=("in",), stores=(StoreSpec(name="count"),))


class Counting:
    """Counts for each key, and says so a second later."""

    def process(self, record: Record, ctx: Ctx) -> None:
        key = record.key or b""
        store = ctx.store("count")
        store.put(key, bytes([(store.get(key) or b"\0")[0] + 1]))
        ctx.timer_set("say", key, ctx.now_ms + 1_000)

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        ctx.emit(Out("out", timer.key, ctx.store("count").get(timer.key)))


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.none() | st.binary(max_size=2)), max_size=40),
    st.binary(max_size=2),
    st.binary(max_size=2),
    st.integers(1, 10),
)
def test_it_is_a_sorted_dictionary(
    writes: list[tuple[bytes, bytes | None]], start: bytes, end: bytes, limit: int
) -> None:
    backing, model = MemoryBacking(), dict[bytes, bytes]()
    for key, value in writes:
        backing.apply({key: value})
        if value is None:
            model.pop(key, None)
        else:
            model[key] = value

    expected = [(key, model[key]) for key in sorted(model) if start <= key < end][:limit]
    assert list(backing.scan(start, end, limit)) == expected
    assert len(backing) == len(model)
    assert all(backing.get(key) == value for key, value in model.items())


def test_state_and_timers_last_from_step_to_step() -> None:
    backing = MemoryBacking()
    record = Record("in", 0, 0, 0, b"k", b"")
    run(Counting(), SPEC, record, backing=backing, now_ms=0)
    run(Counting(), SPEC, record, backing=backing, now_ms=500)

    assert run(Counting(), SPEC, backing=backing, now_ms=1_499).outs == []
    assert [out.value for out in run(Counting(), SPEC, backing=backing, now_ms=1_500).outs] == [b"\2"]


def test_a_body_that_nobody_gave_is_named() -> None:
    record = Record("in", 0, 0, 0, b"k", b"", (("ce_dataref", b"blob:sha256:00"),))

    with pytest.raises(KeyError, match="blob:sha256:00"):
        run(Counting(), SPEC, record)
