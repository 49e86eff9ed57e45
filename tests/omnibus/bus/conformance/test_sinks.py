"""Invariants of sinks, on every engine: redelivery, order for each key, positions, pauses, dead letters."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from omnibus.bus.port import Bus, Out, Record, Runner, SinkSpec
from omnibus.errors import Misconfigured, Refused, TryAgain

if TYPE_CHECKING:
    from tests.omnibus.bus.conformance.conftest import Engine

DEAD = "test.dead-letters"
FAST = (0.01, 0.05)


class Scripted:
    """A handler made of one function; remembers what was delivered."""

    def __init__(self, deliver: Callable[[Sequence[Record]], Awaitable[Sequence[Out]]] | None = None) -> None:
        self._deliver = deliver
        self.calls: list[list[bytes]] = []
        self.delivered: dict[bytes | None, list[bytes]] = defaultdict(list)

    async def deliver(self, records: Sequence[Record]) -> Sequence[Out]:
        self.calls.append([record.value or b"" for record in records])
        outs = [] if self._deliver is None else await self._deliver(records)
        for record in records:
            self.delivered[record.key].append(record.value or b"")
        return outs


async def run(bus: Bus, handler: Scripted, **spec: Any) -> Runner:
    settings: dict[str, Any] = {"name": "sink", "inputs": ("test.in",), "backoff_s": FAST} | spec
    runner = bus.run_sink(SinkSpec(**settings), handler)
    await runner.start()
    return runner


async def publish(bus: Bus, *values: bytes, key: bytes = b"k") -> None:
    await bus.publisher("p").publish([Out("test.in", key, value, (("ce_id", b"id " + value),)) for value in values])


async def test_an_unacknowledged_record_is_delivered_again_with_its_id(bus: Bus, engine: Engine) -> None:
    """Invariant 14, by kill -9 in the middle of a delivery."""
    killed = await engine.spawn("sink", group="sink", input="test.in", hang=True)
    await publish(bus, b"first", b"hang", b"third")
    told = await killed.says("delivered", "hang")

    async def first_is_acknowledged() -> bool:
        return sum((await bus.lag("sink")).values()) == 2

    await engine.eventually(first_is_acknowledged)
    await killed.kill()
    assert killed.all("delivered") == ["first", "hang"]
    second = await engine.spawn("sink", group="sink", input="test.in")
    again = await second.says("delivered", "hang")
    await second.says("delivered", "third")
    await engine.wait_until_caught_up(bus, "sink")
    assert again["id"] == told["id"] == "id hang"
    assert second.all("delivered") == ["hang", "third"]


async def test_a_slow_key_does_not_hold_the_others_and_the_position_never_passes_it(bus: Bus, engine: Engine) -> None:
    """Invariant 14: what is acknowledged beyond the slow one is not delivered again either."""
    free = asyncio.Event()

    async def deliver(records: Sequence[Record]) -> Sequence[Out]:
        if records[0].key == b"slow":
            await free.wait()
        return [Out("test.out", records[0].key, records[0].value)]

    handler = Scripted(deliver)
    runner = await run(bus, handler)
    outs = [Out("test.in", b"slow", b"1", partition=0), Out("test.in", b"slow", b"2", partition=0)]
    outs += [Out("test.in", f"k{n}".encode(), b"x", partition=0) for n in range(50)]
    await bus.publisher("p").publish(outs)
    await engine.wait_for_count(bus, "test.out", 50)
    assert sum((await bus.lag("sink")).values()) >= 2
    free.set()
    await engine.wait_until_caught_up(bus, "sink")
    assert handler.delivered[b"slow"] == [b"1", b"2"]
    assert len(handler.calls) == 52
    assert len(await engine.records(bus, "test.out")) == 52
    await runner.drain(5.0)


async def test_order_is_kept_for_each_key_through_retries(bus: Bus, engine: Engine) -> None:
    tries = 0

    async def deliver(records: Sequence[Record]) -> Sequence[Out]:
        nonlocal tries
        tries += 1
        if tries % 3 == 0:
            raise TryAgain("busy", after=timedelta(milliseconds=1))
        return []

    handler = Scripted(deliver)
    await run(bus, handler, max_batch=4)
    values = [str(n).encode() for n in range(40)]
    for value in values:
        await bus.publisher("p").publish([Out("test.in", f"k{key}".encode(), value) for key in range(6)])
    await engine.wait_until_caught_up(bus, "sink")
    assert len(handler.delivered) == 6
    assert all(delivered == values for delivered in handler.delivered.values())


async def test_a_batch_may_hold_many_keys_when_order_by_key_is_off(bus: Bus, engine: Engine) -> None:
    handler = Scripted()
    await bus.publisher("p").publish(
        [Out("test.in", f"k{n}".encode(), str(n).encode(), partition=1) for n in range(100)]
    )
    await run(bus, handler, by_key=False, max_batch=30)
    await engine.wait_until_caught_up(bus, "sink")
    assert [value for call in handler.calls for value in call] == [str(n).encode() for n in range(100)]
    assert max(len(call) for call in handler.calls) == 30


async def test_what_a_sink_does_not_want_is_passed_and_its_position_kept(bus: Bus, engine: Engine) -> None:
    handler = Scripted()
    runner = await run(bus, handler, wants=lambda record: record.value == b"wanted")
    await publish(bus, *[b"other"] * 50)
    await engine.wait_until_caught_up(bus, "sink")
    await publish(bus, b"wanted", *[b"other"] * 50)
    await engine.wait_until_caught_up(bus, "sink")
    assert handler.calls == [[b"wanted"]]
    await runner.drain(5.0)

    again = Scripted()
    await run(bus, again)
    await publish(bus, b"last")
    await engine.wait_until_caught_up(bus, "sink")
    assert again.calls == [[b"last"]]


async def test_what_is_refused_or_fails_too_often_is_a_dead_letter(bus: Bus, engine: Engine) -> None:
    async def deliver(records: Sequence[Record]) -> Sequence[Out]:
        match records[0].value:
            case b"refused":
                raise Refused("MESSAGE_TOO_LONG", "4096 characters at most")
            case b"bug":
                raise ZeroDivisionError("oops")
            case b"never":
                raise TryAgain("down")
        return []

    handler = Scripted(deliver)
    runner = await run(bus, handler, max_attempts=3)
    await publish(bus, b"a", b"refused", b"b", b"bug", b"c", b"never", b"d")
    await engine.wait_until_caught_up(bus, "sink")
    assert handler.delivered[b"k"] == [b"a", b"b", b"c", b"d"]
    dead = {record.value: record for record in await engine.records(bus, DEAD)}
    assert set(dead) == {b"refused", b"bug", b"never"}
    assert dead[b"refused"].header("dead_error") == b"Refused"
    assert b"ZeroDivisionError" in (dead[b"bug"].header("dead_traceback") or b"")
    assert dead[b"never"].header("dead_attempts") == b"3"
    assert dead[b"bug"].header("ce_id") == b"id bug"

    async def counted() -> bool:
        return runner.health.dead_letters_total == 3

    await engine.eventually(counted)


async def test_one_bad_record_does_not_take_its_batch_along(bus: Bus, engine: Engine) -> None:
    async def deliver(records: Sequence[Record]) -> Sequence[Out]:
        if any(record.value == b"bad" for record in records):
            raise ValueError("bad")
        return []

    handler = Scripted(deliver)
    await publish(bus, b"1", b"2", b"bad", b"3", b"4")
    await run(bus, handler, max_batch=5)
    await engine.wait_until_caught_up(bus, "sink")
    assert handler.delivered[b"k"] == [b"1", b"2", b"3", b"4"]
    assert await engine.values(bus, DEAD) == [b"bad"]


async def test_a_misconfigured_sink_pauses_and_loses_nothing(bus: Bus, engine: Engine) -> None:
    fixed = False

    async def deliver(records: Sequence[Record]) -> Sequence[Out]:
        if not fixed:
            raise Misconfigured("token", "expired")
        return []

    handler = Scripted(deliver)
    runner = await run(bus, handler, max_attempts=2)
    await publish(bus, b"1", b"2", b"3")

    async def paused() -> bool:
        """Waiting for its operator, not failed."""
        health = runner.health
        return health.ready and any(t.state == "paused" and "token" in (t.reason or "") for t in health.tasks)

    await engine.eventually(paused)
    fixed = True
    await engine.wait_until_caught_up(bus, "sink")
    assert handler.delivered[b"k"] == [b"1", b"2", b"3"]
    assert await engine.records(bus, DEAD) == []

    async def goes_on() -> bool:
        return all(task.state == "ready" for task in runner.health.tasks)

    await engine.eventually(goes_on)


async def test_a_hanging_delivery_does_not_hold_up_the_stop(bus: Bus, engine: Engine) -> None:
    """Invariant 15: it is cancelled at the deadline, and delivered again by the next owner."""

    async def hang(records: Sequence[Record]) -> Sequence[Out]:
        await asyncio.Event().wait()
        return []

    hanging = Scripted(hang)
    runner = await run(bus, hanging)
    await publish(bus, b"1", b"2")

    async def called() -> bool:
        return hanging.calls == [[b"1"]]

    await engine.eventually(called)
    async with asyncio.timeout(30):
        await runner.drain(0.5)
    handler = Scripted()
    await run(bus, handler)
    await engine.wait_until_caught_up(bus, "sink")
    assert handler.delivered[b"k"] == [b"1", b"2"]
    assert hanging.calls == [[b"1"]]


async def test_two_members_share_the_deliveries_and_nothing_is_delivered_twice(bus: Bus, engine: Engine) -> None:
    handlers = [Scripted(), Scripted()]
    await run(bus, handlers[0])
    runner = await run(await engine.open(), handlers[1])

    async def both_own_some() -> bool:
        return len([task for task in runner.health.tasks if task.state == "ready"]) == 2

    await engine.eventually(both_own_some)
    for n in range(20):
        await bus.publisher("p").publish([Out("test.in", f"k{key}".encode(), str(n).encode()) for key in range(16)])
    await engine.wait_until_caught_up(bus, "sink")
    keys = [set(handler.delivered) for handler in handlers]
    assert not keys[0] & keys[1]
    values = [str(n).encode() for n in range(20)]
    assert all(delivered == values for handler in handlers for delivered in handler.delivered.values())
    assert all(handler.delivered for handler in handlers)
