"""A process of the chaos run: both stages of a toy pipeline, to be killed and stopped at random.

First stage: counts each key, re-keys to a group of keys, sets a timer for every tenth record. Second stage: counts
each group. With ``unfenced`` the check of the lease's epoch is left out, to prove that the oracle would notice.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from omnibus.bus.embedded import EmbeddedBus, Limits
from omnibus.bus.embedded.leases import Claim
from omnibus.bus.embedded.txn import Txn
from omnibus.bus.port import Out, Record, StageSpec, StoreSpec, TaskId
from omnibus.stage.contract import Ctx, Timer

GROUPS = 5
TIMER_MS = 400


class UnfencedBus(EmbeddedBus):
    """A bus that lets a superseded owner commit."""

    def fence(self, txn: Txn, claim: Claim, epochs: Mapping[int, int]) -> None:
        return


def count(ctx: Ctx, key: bytes) -> int:
    """One more for `key`; returns how many there are now."""
    store = ctx.store("count")
    now = int(store.get(key) or b"0") + 1
    store.put(key, str(now).encode())
    return now


class First:
    def __init__(self, task: TaskId) -> None:
        pass

    def process(self, record: Record, ctx: Ctx) -> None:
        assert record.key is not None
        n = int(record.value or b"")
        fact = {"key": record.key.decode(), "n": n, "count": count(ctx, record.key)}
        group = f"g{int(record.key[1:]) % GROUPS}".encode()
        ctx.emit(Out("chaos.middle", group, json.dumps(fact).encode()))
        if n % 10 == 0:
            due = ctx.now_ms + TIMER_MS
            ctx.timer_set("tenth", record.key + b"/%d" % n, due)
            if n % 20 == 0:
                ctx.timer_set("cancelled", record.key, due)
                ctx.timer_cancel("cancelled", record.key)

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        fact = {"kind": timer.kind, "timer": timer.key.decode(), "due": timer.due_ms, "at": ctx.now_ms}
        ctx.emit(Out("chaos.timers", timer.key, json.dumps(fact).encode()))


class Second:
    def __init__(self, task: TaskId) -> None:
        pass

    def process(self, record: Record, ctx: Ctx) -> None:
        assert record.key is not None
        fact = json.loads(record.value or b"") | {"group": record.key.decode(), "in_group": count(ctx, record.key)}
        ctx.emit(Out("chaos.out", record.key, json.dumps(fact).encode()))

    def fire(self, timer: Timer, ctx: Ctx) -> None:
        raise AssertionError("the second stage sets no timers")


async def main(settings: dict[str, Any]) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    make = UnfencedBus if settings["unfenced"] else EmbeddedBus
    limits = Limits(lease_ttl_s=settings["lease_ttl_s"], checkpoint_bytes=500_000, checkpoint_every_s=1.0)
    bus = make(Path(settings["path"]), dead_letters="chaos.dead-letters", limits=limits)
    await bus.open()
    stores = (StoreSpec(name="count"),)
    await bus.run_stage(StageSpec(name="first", inputs=("chaos.in",), stores=stores, max_batch=50), First).start()
    await bus.run_stage(StageSpec(name="second", inputs=("chaos.middle",), stores=stores, max_batch=50), Second).start()
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
