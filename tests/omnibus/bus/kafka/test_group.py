"""What a runner does with its own tasks."""

from __future__ import annotations

import asyncio

from omnibus.bus.kafka.group import _end_of


async def test_a_lost_cancellation_does_not_hold_up_a_stop() -> None:
    """As `asyncio.wait_for` may lose it when an answer comes in the same turn of the loop."""
    lost = asyncio.Event()

    async def loses_the_first() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(loses_the_first())
    await asyncio.sleep(0)
    await _end_of(task)
    assert lost.is_set()
    assert task.cancelled()
