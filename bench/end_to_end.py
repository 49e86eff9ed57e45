"""A whole installation from outside: start-up, door to queue at a steady rate, the most it takes, memory."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import time
from typing import Any

from aiohttp import ClientSession, TCPConnector

from bench.installation import TOPICS, Installation, installation, looking_in
from omnibus import clock
from omnibus.bus.port import Out
from omnibus.model.raw import RawEvent, encode_raw

MARK = re.compile(rb"#(\d{6})")
TEXT = "Good morning, I need some help with my last invoice please"


def body(number: int, people: int) -> bytes:
    """A webhook request of one of `people`, with its number as a mark in the words."""
    who = {"id": f"person-{number // 1_000_000}-{number % people}", "name": "Ana Exemplo"}
    return json.dumps({"id": f"m-{number}", "from": who, "text": f"#{number:06d} {TEXT}"}).encode()


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": round(cuts[49] * 1e3, 1), "p95": round(cuts[94] * 1e3, 1), "p99": round(cuts[98] * 1e3, 1)}


async def steady(installed: Installation, rate: int, seconds: int) -> dict[str, Any]:
    """Door to queue at `rate` messages a second: from the start of the request to the record in the queue's topic."""
    sent: dict[int, float] = {}
    queued: dict[int, float] = {}
    total = rate * seconds
    async with looking_in(installed) as bus:
        followers = [asyncio.create_task(_note(bus, TOPICS.queue(name), queued)) for name in ("billing", "general")]
        async with ClientSession(connector=TCPConnector(limit=64)) as session:
            posts = []
            began = time.perf_counter()
            cpu = installed.cpu_s()
            for number in range(total):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                sent[number] = time.perf_counter()
                posts.append(asyncio.create_task(_post(session, installed.url, body(number, 200))))
            await asyncio.gather(*posts)
            await _until(lambda: len(queued) >= total, 30)
            cpu = installed.cpu_s() - cpu
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
    times = [queued[number] - sent[number] for number in queued]
    return {
        "rate": rate,
        "messages": total,
        "in_queue": len(queued),
        "door_to_queue_ms": percentiles(times),
        "cpu_ms_per_message": round(cpu / total * 1e3, 2),
    }


async def _note(bus: Any, topic: str, queued: dict[int, float]) -> None:
    async for batch in bus.follow(topic):
        now = time.perf_counter()
        for record in batch:
            for number in MARK.findall(record.value or b""):
                queued.setdefault(int(number), now)


async def _post(session: ClientSession, url: str, data: bytes) -> None:
    async with session.post(f"{url}/in/hook", data=data, headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 200, answer.status


async def _until(done: Any, seconds: float) -> None:
    ends = time.perf_counter() + seconds
    while not done() and time.perf_counter() < ends:
        await asyncio.sleep(0.02)


async def backlog(installed: Installation, messages: int, people: int, first: int) -> dict[str, Any]:
    """Raw events that are already in the log: how fast one process takes them to the queues and the sink."""
    async with looking_in(installed, poll_ms=20) as bus:
        publisher = bus.publisher("bench")
        outs = [_raw(first + number, people) for number in range(messages)]
        began, cpu = time.perf_counter(), installed.cpu_s()
        for start in range(0, messages, 1_000):
            await publisher.publish(outs[start : start + 1_000])
        published = time.perf_counter() - began
        while await _behind(bus):
            await asyncio.sleep(0.05)
        took, cpu = time.perf_counter() - began, installed.cpu_s() - cpu
    return {
        "messages": messages,
        "people": people,
        "messages_per_s": round(messages / took),
        "published_in_s": round(published, 2),
        "cpu_us_per_message": round(cpu / messages * 1e6),
    }


def _raw(number: int, people: int) -> Out:
    raw = RawEvent(
        id=f"raw_{number:032x}",
        channel="webhook",
        account="hook",
        received_at=clock.now(),
        body=body(number, people),
        headers=(("content-type", "application/json"),),
        thread=f"person-{number // 1_000_000}-{number % people}",
    )
    key = f"hook\0person-{number // 1_000_000}-{number % people}".encode()
    return Out(TOPICS.raw("webhook"), key, encode_raw(raw), ts_ms=clock.now_ms())


async def _behind(bus: Any) -> int:
    return sum([sum((await bus.lag(group)).values()) for group in ("normalizer", "router", "sink.files")])


async def measure(*, quick: bool = False) -> dict[str, Any]:
    """All of it; `quick` for a look while working."""
    async with installation() as installed:
        found: dict[str, Any] = {"start_up_s": round(installed.started_s, 2)}
        found["steady"] = await steady(installed, 200, 3 if quick else 15)
    async with installation() as installed:
        found["throughput"] = await backlog(installed, 5_000 if quick else 40_000, 2_000, 1_000_000)
    if not quick:
        found["memory"] = await memory()
    return found


async def memory(first: int = 20_000, more: int = 80_000) -> dict[str, Any]:
    """What each open conversation keeps in memory: growth from `first` conversations to `first + more`."""
    async with installation() as installed:
        idle = installed.memory_bytes()
        await backlog(installed, first, first, 2_000_000)
        before = installed.memory_bytes()
        await backlog(installed, more, more, 3_000_000)
        after = installed.memory_bytes()
    return {
        "idle_mb": round(idle / 1e6),
        "at_first_mb": round(before / 1e6),
        "at_end_mb": round(after / 1e6),
        "conversations": first + more,
        "bytes_per_conversation": round((after - before) / more),
    }


if __name__ == "__main__":
    import sys

    print(json.dumps(asyncio.run(measure(quick="--quick" in sys.argv)), indent=2))
