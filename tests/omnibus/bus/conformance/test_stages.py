"""Invariants of stages, on every engine: atomic steps, fences, state, timers, poison."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from omnibus.bus.port import Bus, Health, Out, Record, Runner, StageSpec, StoreSpec, TaskId, TopicSpec
from omnibus.errors import TopicMismatch
from omnibus.stage.contract import Ctx, Timer

if TYPE_CHECKING:
    from tests.omnibus.bus.conformance.conftest import Engine

COUNTING = {"group": "counting", "input": "test.in", "output": "test.out"}
DEAD = "test.dead-letters"
Process = Callable[[Record, Ctx], None]


class Scripted:
    """A stage made of two functions."""

    def __init__(self, process: Process, fire: Callable[[Timer, Ctx], None] | None = None) -> None:
        self.process = process
        self._fire = fire

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        assert self._fire is not None
        self._fire(timer, ctx)


def counting(record: Record, ctx: Ctx) -> None:
    """The same as the worker's stage, in this process."""
    assert record.key is not None
    store = ctx.store("count")
    count = int(store.get(record.key) or b"0") + 1
    store.put(record.key, str(count).encode())
    value = json.dumps({"n": (record.value or b"").decode(), "count": count, "by": "test"}).encode()
    ctx.emit(Out("test.out", record.key, value))


async def run(bus: Bus, process: Process, fire: Callable[[Timer, Ctx], None] | None = None, **spec: Any) -> Runner:
    settings: dict[str, Any] = {"name": "counting", "inputs": ("test.in",), "stores": (StoreSpec(name="count"),)} | spec
    runner = bus.run_stage(StageSpec(**settings), lambda task: Scripted(process, fire))
    await runner.start()
    return runner


async def publish(bus: Bus, keys: int, each: int, start: int = 0) -> None:
    outs = [
        Out("test.in", f"k{key}".encode(), str(n).encode()) for n in range(start, start + each) for key in range(keys)
    ]
    await bus.publisher("input").publish(outs)


def outputs(records: list[Record]) -> dict[bytes, list[dict[str, Any]]]:
    """The values by key, in order."""
    found: dict[bytes, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        found[record.key or b""].append(json.loads(record.value or b""))
    return found


def assert_counted_once(records: list[Record], keys: int, each: int) -> None:
    """Nothing lost, nothing twice, order kept, state in step with the output."""
    found = outputs(records)
    assert len(found) == keys
    for values in found.values():
        assert [value["n"] for value in values] == [str(n) for n in range(each)]
        assert [value["count"] for value in values] == list(range(1, each + 1))


async def test_a_step_is_all_or_nothing_under_kill_9(bus: Bus, engine: Engine) -> None:
    """Invariants 1 and 7: outputs, state and position tell the same story after any number of crashes."""
    total = 0
    for n in range(4):
        worker = await engine.spawn("stage", **COUNTING)
        await publish(bus, 8, 250, start=n * 250)
        total += 8 * 250
        # Killed in the middle of the work: some steps are committed, others are not.
        await engine.wait_for_count(bus, "test.out", total - 1_800)
        await worker.kill()
    await engine.spawn("stage", **COUNTING)
    await engine.wait_until_caught_up(bus, "counting")
    assert_counted_once(await engine.records(bus, "test.out"), 8, 1_000)


async def test_a_superseded_step_never_becomes_visible(bus: Bus, engine: Engine, tmp_path: Path) -> None:
    """Invariants 2, 3 and 5: the old owner comes back to life after the new one has done its work."""
    go_on = tmp_path / "go on"
    zombie = await engine.spawn("stage", **COUNTING, block_until=str(go_on), name="zombie")
    await bus.publisher("p").publish([Out("test.in", b"k", b"before")])
    await engine.wait_for_count(bus, "test.out", 1)
    await bus.publisher("p").publish([Out("test.in", b"k", b"block"), Out("test.in", b"k", b"after")])
    await zombie.says("blocked")
    assert len(await engine.records(bus, "test.out")) == 1, "nothing of a step is seen before its commit"

    await run(bus, counting)
    await engine.wait_for_count(bus, "test.out", 3)
    starts = len(zombie.all("started"))
    go_on.touch()
    await bus.publisher("p").publish([Out("test.in", b"k", b"last")])
    await engine.wait_until_caught_up(bus, "counting")

    # The zombie is a member again at some time, and takes part with what it reads then.
    async def the_zombie_is_back() -> bool:
        return len(zombie.all("started")) > starts

    await engine.eventually(the_zombie_is_back)
    (values,) = outputs(await engine.records(bus, "test.out")).values()
    assert [(value["n"], value["count"]) for value in values] == [
        ("before", 1),
        ("block", 2),
        ("after", 3),
        ("last", 4),
    ]
    assert [value["by"] for value in values[1:3]] == ["test", "test"]


async def test_a_killed_step_leaves_no_trace(bus: Bus, engine: Engine, tmp_path: Path) -> None:
    """Invariant 5."""
    worker = await engine.spawn("stage", **COUNTING, block_until=str(tmp_path / "never"))
    await bus.publisher("p").publish([Out("test.in", b"k", b"block")])
    await worker.says("blocked")
    await worker.kill()
    assert await engine.records(bus, "test.out") == []


async def test_a_step_whose_outcome_its_owner_never_learnt_is_not_repeated(bus: Bus, engine: Engine) -> None:
    """Invariant 7: killed at the moment its output is seen."""
    for n in range(3):
        worker = await engine.spawn("stage", **COUNTING)
        await publish(bus, 1, 1, start=n)
        await engine.wait_for_count(bus, "test.out", n + 1)
        await worker.kill()
    await run(bus, counting)
    await engine.wait_until_caught_up(bus, "counting")
    assert_counted_once(await engine.records(bus, "test.out"), 1, 3)


async def test_partitions_move_between_members_without_loss(bus: Bus, engine: Engine) -> None:
    """Invariants 3 and 12, and what rolling deployments do."""
    members = [bus]
    await run(bus, counting)
    for n in range(4):
        other = await engine.open()
        runner = await run(other, counting)

        async def owns_some(runner: Runner = runner) -> bool:
            return any(task.state == "ready" for task in runner.health.tasks)

        await publish(bus, 8, 50, start=n * 50)
        await engine.eventually(owns_some)
        members.append(other)
        if n % 2:
            await engine.close(members.pop(1))
    await engine.wait_until_caught_up(bus, "counting")
    assert_counted_once(await engine.records(bus, "test.out"), 8, 200)


async def test_a_task_owns_the_same_partition_of_each_input(bus: Bus, engine: Engine) -> None:
    """Invariant 12."""

    def where(record: Record, ctx: Ctx) -> None:
        assert record.partition == ctx.task.partition
        ctx.emit(Out("test.out", record.key, record.topic.encode(), partition=ctx.task.partition))

    await run(bus, where, inputs=("test.in", "test.more"))
    keys = [f"k{n}".encode() for n in range(20)]
    await bus.publisher("p").publish([Out(topic, key, b"") for key in keys for topic in ("test.in", "test.more")])
    records = await engine.wait_for_count(bus, "test.out", 40)
    assert Counter(record.value for record in records) == {b"test.in": 20, b"test.more": 20}
    partitions: dict[bytes | None, set[int]] = defaultdict(set)
    for record in records:
        partitions[record.key].add(record.partition)
    assert all(len(found) == 1 for found in partitions.values())


async def test_inputs_with_different_partitions_are_refused(bus: Bus) -> None:
    await bus.ensure_topics([TopicSpec(name="test.odd", partitions=3)])
    with pytest.raises(TopicMismatch, match=r"test\.odd has 3"):
        await run(bus, counting, inputs=("test.in", "test.odd"))


async def test_any_failed_output_fails_the_step(bus: Bus, engine: Engine) -> None:
    """Invariant 8: one output has no topic, so the other is not written and the position stays."""

    def two_outputs(record: Record, ctx: Ctx) -> None:
        ctx.emit(Out("test.out", record.key, record.value))
        ctx.emit(Out("test.late", record.key, record.value))

    runner = await run(bus, two_outputs)
    await publish(bus, 1, 3)

    async def failed() -> bool:
        return any(task.state == "failed" and "test.late" in (task.reason or "") for task in runner.health.tasks)

    await engine.eventually(failed)
    assert not runner.health.ready
    assert await engine.records(bus, "test.out") == []
    assert sum((await bus.lag("counting")).values()) == 3

    await bus.ensure_topics([TopicSpec(name="test.late", partitions=1)])
    await engine.wait_until_caught_up(bus, "counting")
    assert await engine.values(bus, "test.out") == await engine.values(bus, "test.late") == [b"0", b"1", b"2"]


async def test_state_comes_back_as_it_was_and_the_deleted_stays_deleted(bus: Bus, engine: Engine) -> None:
    """Invariant 10."""

    def keep(record: Record, ctx: Ctx) -> None:
        store = ctx.store("count")
        command, _, argument = (record.value or b"").partition(b" ")
        if command == b"put":
            store.put(argument, b"v" + argument)
        elif command == b"delete":
            store.delete(argument)
        else:
            found = [f"{key.decode()}={value.decode()}" for key, value in store.scan()]
            ctx.emit(Out("test.out", b"all", json.dumps([found, (store.get(b"b") or b"-").decode()]).encode()))

    async def tell(*commands: bytes) -> None:
        await bus.publisher("p").publish([Out("test.in", b"k", command, partition=2) for command in commands])

    elsewhere = await engine.open()
    await run(elsewhere, keep)
    await tell(b"put a", b"put b", b"put \x7f", b"put c", b"delete b", b"dump", b"delete c", b"put a2", b"dump")
    await engine.wait_for_count(bus, "test.out", 2)
    await engine.close(elsewhere)
    await run(bus, keep)
    await tell(b"dump")
    first, second, third = [json.loads(value) for value in await _values_when(engine, bus, 3)]
    assert first == [["a=va", "c=vc", "\x7f=v\x7f"], "-"]
    assert second == third == [["a=va", "a2=va2", "\x7f=v\x7f"], "-"]


async def _values_when(engine: Engine, bus: Bus, count: int) -> list[bytes]:
    return [record.value or b"" for record in await engine.wait_for_count(bus, "test.out", count)]


async def test_timers_fire_once_never_early_and_survive_their_owner(bus: Bus, engine: Engine) -> None:
    """Invariant 11: set in a process that is killed, fired in another."""
    setter = await engine.spawn("stage", **COUNTING, name="setter")
    outs = [Out("test.in", f"k{n}".encode(), b"timer") for n in range(40)]
    await bus.publisher("p").publish(outs)
    await engine.wait_for_count(bus, "test.out", 40)
    await setter.kill()
    await engine.spawn("stage", **COUNTING, name="second")
    records = await engine.wait_for_count(bus, "test.out", 80)
    await engine.spawn("stage", **COUNTING, name="third")
    await bus.publisher("p").publish([Out("test.in", b"end", b"end")])
    records = await engine.wait_for_count(bus, "test.out", 81)
    fired = {key: [value for value in values if "fired" in value] for key, values in outputs(records).items()}
    del fired[b"end"]
    assert all(len(values) == 1 for values in fired.values())
    assert len(fired) == 40
    assert all(values[0]["at"] >= values[0]["fired"] for values in fired.values())


async def test_moved_and_cancelled_timers_do_not_fire_at_their_old_time(bus: Bus, engine: Engine) -> None:
    """Invariant 11."""

    def set_and_change(record: Record, ctx: Ctx) -> None:
        for kind in (b"kept", b"moved", b"cancelled"):
            ctx.timer_set(kind.decode(), b"k", ctx.now_ms + 100)
        ctx.timer_set("moved", b"k", ctx.now_ms + 200, b"payload")
        ctx.timer_cancel("cancelled", b"k")
        ctx.timer_cancel("never set", b"k")

    def fire(timer: Timer, ctx: Ctx) -> None:
        ctx.emit(Out("test.out", timer.key, timer.kind.encode() + b" " + timer.payload))

    await run(bus, set_and_change, fire)
    await publish(bus, 1, 1)
    await engine.wait_for_count(bus, "test.out", 2)
    await publish(bus, 1, 1)
    await engine.wait_for_count(bus, "test.out", 4)
    assert await engine.values(bus, "test.out") == [b"kept ", b"moved payload"] * 2


async def test_poison_goes_to_the_dead_letters_and_the_others_proceed(bus: Bus, engine: Engine) -> None:
    """Invariant 13: what the failing call wrote is taken back; a too large output is poison too."""

    def fragile(record: Record, ctx: Ctx) -> None:
        counting(record, ctx)
        if record.value == b"3":
            raise ValueError("cannot take 3")
        if record.value == b"5":
            ctx.emit(Out("test.out", b"big", b"x" * 1_000_001))

    runner = await run(bus, fragile)
    await publish(bus, 1, 7)
    await engine.wait_until_caught_up(bus, "counting")
    (values,) = outputs(await engine.records(bus, "test.out")).values()
    assert [value["n"] for value in values] == ["0", "1", "2", "4", "6"]
    assert [value["count"] for value in values] == [1, 2, 3, 4, 5]
    bug, large = await engine.records(bus, DEAD)
    assert (bug.key, bug.value, bug.header("dead_error")) == (b"k0", b"3", b"ValueError")
    assert (bug.header("dead_stage"), bug.header("dead_offset")) == (b"counting", b"3")
    assert b"cannot take 3" in (bug.header("dead_traceback") or b"")
    assert (large.value, large.header("dead_error")) == (b"5", b"InvalidPayload")

    async def counted() -> bool:
        return runner.health.dead_letters_total == 2

    await engine.eventually(counted)


async def test_poison_timers_are_dead_letters_too(bus: Bus, engine: Engine) -> None:
    def fire(timer: Timer, ctx: Ctx) -> None:
        raise ValueError("no")

    await run(bus, lambda record, ctx: ctx.timer_set("t", b"timer key", ctx.now_ms, b"payload"), fire)
    await publish(bus, 1, 1)
    (dead,) = await engine.wait_for_count(bus, DEAD, 1)
    assert (dead.key, dead.value, dead.header("dead_topic")) == (b"timer key", b"payload", b"timer:t")


async def test_drain_finishes_and_nothing_is_written_afterwards(bus: Bus, engine: Engine) -> None:
    """Invariant 15."""
    elsewhere = await engine.open()
    runner = await run(elsewhere, counting)
    await publish(bus, 4, 500)
    await engine.wait_for_count(bus, "test.out", 1)
    async with asyncio.timeout(30):
        await runner.drain(5.0)
    written = len(await engine.records(bus, "test.out"))
    await publish(bus, 1, 1)
    await run(bus, lambda record, ctx: None, name="another")
    await engine.wait_until_caught_up(bus, "another")
    assert len(await engine.records(bus, "test.out")) == written
    assert runner.health.tasks == ()

    await run(bus, counting)
    await engine.wait_until_caught_up(bus, "counting")
    assert len(await engine.records(bus, "test.out")) == 2_001


async def test_memory_does_not_grow_with_the_lag(bus: Bus, engine: Engine) -> None:
    """Invariant 16: 80 MB wait; a small part of it is in memory at any time."""
    publisher = bus.publisher("p")
    for _ in range(40):
        await publisher.publish([Out("test.in", f"k{n}".encode(), b"x" * 50_000) for n in range(40)])
    seen = 0

    def look(record: Record, ctx: Ctx) -> None:
        nonlocal seen
        seen += 1

    tracemalloc.start()
    try:
        await run(bus, look)
        await engine.wait_until_caught_up(bus, "counting")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == 1_600
    assert peak < 20_000_000


async def stopped_for_too_long(bus: Bus, engine: Engine) -> None:
    """A stage has counted one record of each of four keys, and retention takes the next five before it goes on."""
    runner = await run(bus, counting)
    await publish(bus, 4, 1)
    await engine.wait_until_caught_up(bus, "counting")
    await runner.drain(5.0)
    await publish(bus, 4, 5)
    await engine.lose_all_below_the_end(bus, "test.in")


async def test_a_position_that_is_gone_is_an_error_not_a_jump(bus: Bus, engine: Engine) -> None:
    """Invariant 17."""
    await stopped_for_too_long(bus, engine)
    again = await run(bus, counting)

    async def failed() -> bool:
        return _states(again.health)["failed"] > 0

    await engine.eventually(failed)
    reasons = [task.reason for task in again.health.tasks if task.state == "failed"]
    assert all("OutOfRange" in (reason or "") for reason in reasons)
    assert len(await engine.records(bus, "test.out")) == 4
    assert not again.health.ready


def _states(health: Health) -> Counter[str]:
    return Counter(task.state for task in health.tasks)


async def test_an_operator_may_say_to_go_on_behind_what_is_gone(bus: Bus, engine: Engine) -> None:
    """Invariant 17: passed when told to, and only what is gone."""
    await stopped_for_too_long(bus, engine)
    told = await engine.open(skip_lost=True)
    await run(told, counting)
    await publish(told, 4, 2)
    await engine.wait_until_caught_up(told, "counting")
    assert len(await engine.records(told, "test.out")) == 4 + 4 * 2


async def test_a_new_group_begins_at_the_earliest_record_there_is(bus: Bus, engine: Engine) -> None:
    """Invariant 17: what retention took before the group existed is not an error."""
    await publish(bus, 4, 3)
    await engine.lose_all_below_the_end(bus, "test.in")
    await publish(bus, 4, 2)
    await run(bus, counting)
    await engine.wait_until_caught_up(bus, "counting")
    assert_counted_once(await engine.records(bus, "test.out"), 4, 2)


async def test_a_stage_has_its_tables_before_its_first_step(bus: Bus, engine: Engine) -> None:
    """Invariant 18."""
    await bus.publisher("p").publish([Out("test.table", f"t{n}".encode(), b"loaded") for n in range(100)])
    await publish(bus, 8, 1)

    def look_up(record: Record, ctx: Ctx) -> None:
        ctx.emit(Out("test.out", record.key, str(len(ctx.table("test.table").scan())).encode()))

    await run(await engine.open(), look_up, tables=("test.table",))
    records = await engine.wait_for_count(bus, "test.out", 8)
    assert {record.value for record in records} == {b"100"}


async def test_health_says_how_far_behind_a_stage_is(bus: Bus, engine: Engine) -> None:
    runner = await run(bus, counting)
    await publish(bus, 8, 10)
    await engine.wait_until_caught_up(bus, "counting")

    async def counted() -> bool:
        return runner.health.processed_total == 80

    await engine.eventually(counted)
    assert runner.health.ready
    assert [task.task for task in runner.health.tasks] == [TaskId("counting", part) for part in range(4)]
    assert all((task.state, task.lag, task.oldest_ms) == ("ready", 0, 0) for task in runner.health.tasks)
