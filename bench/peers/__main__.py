"""Runs all of them against one broker, each in a process of its own; a table for people, JSON for machines.

``python -m bench.peers PYTHON-OF-THE-PEERS``: the peers have a virtual environment of their own (`make bench-peers`),
because they pin what we use, too. What is compared is CPU of the client for each message, not time: that is the
broker's and the machine's as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from bench import kafka as steps
from omnibus.bus.kafka import KafkaBus
from omnibus.bus.port import Out, TopicSpec
from omnibus.bus.topics import Topics
from omnibus.testing.kafka import VERSION, cluster

ROOT = Path(__file__).parents[2]
SOURCE, TARGET = "peer.in", "peer.out"
PARTITIONS = 6
LIMIT_S = 120
# Each with as many messages as it does in some seconds.
OURS = {"bare": 60_000, "ours": 60_000}
PEERS = {"quix": 40_000, "faststream_batch": 20_000, "faust_agent": 6_000, "faststream_single": 3_000}
MOST = max(OURS.values())


async def fill(addresses: list[str], count: int) -> None:
    """Messages of about 330 bytes from a tenth as many people."""
    bus = KafkaBus(addresses, topics=Topics("peer"))
    await bus.open()
    try:
        names = [SOURCE, *(f"{TARGET}.{name}" for name in (*OURS, *PEERS)), "peer.dead-letters"]
        await bus.ensure_topics([TopicSpec(name=name, partitions=PARTITIONS) for name in names])
        publisher = bus.publisher("fill")
        for start in range(0, count, 2_000):
            await publisher.publish([_message(n) for n in range(start, min(count, start + 2_000))])
    finally:
        await bus.close()


def _message(n: int) -> Out:
    person = f"person-{n % max(1, MOST // 10)}@example.com"
    text = f"message {n}: " + "my parcel has not arrived, and the tracking page says nothing at all. " * 3
    message = {"id": n, "thread": f"t-{person}", "from": person, "text": text, "at": "2026-01-05T09:00:00.000Z"}
    return Out(SOURCE, person.encode(), orjson.dumps(message))


def run(python: str, name: str, addresses: list[str], count: int) -> dict[str, Any]:
    """What a peer says of itself; what stopped it, when it could not run here."""
    arguments = [",".join(addresses), SOURCE, f"{TARGET}.{name}", str(count), str(PARTITIONS)]
    try:
        done = subprocess.run(
            [python, "-m", f"bench.peers.{name}", *arguments], cwd=ROOT, capture_output=True, text=True,
            timeout=LIMIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"failed": f"it did not do {count} messages in {LIMIT_S} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        return {"failed": (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


async def real_steps(addresses: list[str], count: int) -> dict[str, Any]:
    """The normalizer and the router on the same broker, with the bare copy that carries the same records."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with steps.opened(addresses, folder) as bus:
            await steps.fill(bus, count)
            found["bare copy of the same records"] = await steps.bare_copy(addresses, count)
            found["normalizer step"] = await steps.cpu_of_stage(bus, "normalizer", count)
            told = sum(after - first for first, after in (await bus.bounds(steps.TOPICS.events)).values())
            found["router step"] = await steps.cpu_of_stage(bus, "router", min(count, told))
    return found


def measure(python: str, part: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with cluster() as running:
        asyncio.run(fill(running.addresses, max(3_000, int(MOST * part))))
        for name, count in OURS.items():
            found[name] = run(sys.executable, name, running.addresses, max(1_000, int(count * part)))
        for name, count in PEERS.items():
            found[name] = run(python, name, running.addresses, max(1_000, int(count * part)))
        found |= asyncio.run(real_steps(running.addresses, max(2_000, int(20_000 * part))))
    return {"kafka": VERSION, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "measured": found}


def show(console: Console, result: dict[str, Any]) -> None:
    table = Table(title=f"decode, map, encode on Kafka {result['kafka']}: CPU of the client", box=None)
    for column in ("", "us a message", "messages a second", "version"):
        table.add_column(column, justify="right" if "message" in column else "left")
    for name, one in result["measured"].items():
        cells = (name, one.get("us_per_message", "failed"), one.get("per_second", ""), one.get("version", ""))
        table.add_row(*map(str, cells))
    console.print(table)
    for name, one in result["measured"].items():
        if words := one.get("configuration") or one.get("failed"):
            console.print(f"{name}: {words}", markup=False)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("python", help="the interpreter of the environment with the peers")
    options.add_argument("--part", type=float, default=1.0, help="measure with this part of the messages only")
    given = options.parse_args()
    result = measure(given.python, given.part)
    show(Console(highlight=False), result)
    target = ROOT / "artifacts" / "bench-peers.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
