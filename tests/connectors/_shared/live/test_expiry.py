"""The history ends where the account says, on a real bus."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from connectors._shared.live.expiry import removals
from connectors._shared.live.frames import Entry
from connectors._shared.live.history import entry_key, history_out
from omnibus import clock
from omnibus.bus.open import open_bus
from omnibus.bus.port import TopicSpec
from omnibus.bus.topics import Topics

TOPIC = "omnibus.webchat.history"
KEPT = timedelta(days=90)


async def test_what_is_too_old_is_removed_and_nothing_else(tmp_path: Path) -> None:
    now = clock.ManualClock()
    bus = open_bus(f"embedded:{tmp_path}", Topics(), None)
    await bus.open()
    try:
        await bus.ensure_topics([TopicSpec(name=TOPIC, partitions=2, kind="table")])
        publisher, table = bus.publisher("test"), await bus.global_table(TOPIC)

        async def say(account: str, number: int) -> None:
            key = entry_key(clock.now_ms(), f"m{number}")
            entry = Entry(key=key, id=f"m{number}", author="agent", text="hello")
            await publisher.publish([history_out(TOPIC, account, f"v:{number % 3}", entry)])

        async def sweep() -> int:
            """How many entries of the one account are taken out."""
            count, before_ms = 0, clock.now_ms() - int(KEPT.total_seconds() * 1000)
            async for outs in removals(bus, TOPIC, table, "site", before_ms):
                await publisher.publish(outs)
                count += len(outs)
            return count

        with clock.use(now):
            for number in range(7):
                await say("site", number)
            await say("another", 0)
            now.advance(KEPT - timedelta(hours=1))
            await say("site", 8)
            assert await sweep() == 0
            now.advance(timedelta(hours=2))
            assert await sweep() == 7
            assert await sweep() == 0, "what is removed is not removed again"
        assert [key.split(b"\0")[0] for key, _ in table.scan(b"another\0")] == [b"another"]
        (left,) = table.scan(b"site\0")
        assert left[0].endswith(b"\0m8")
        await publisher.close()
    finally:
        await bus.close()
