"""Measures the FAQ's search over 1,000 entries and prints JSON: microseconds for a question, by words
and by meaning (with fewer entries; the time goes into the question, not into comparing it).

python -m bench.router_faq [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time

from router.retrieval.entries import Entry
from router.retrieval.index import Index
from router.retrieval.meaning import Meaning

_THINGS = """order delivery return refund invoice address account login payment card shipping status product size color
warranty repair store hours contact phone email support subscription plan receipt tax country language app install
update error battery screen gift voucher coupon discount price stock pickup parcel tracking courier delay item policy
privacy data newsletter catalogue loan insurance ticket seat luggage boarding meal transfer deposit"""
_DOING = "change cancel track find pay get return repair update send open close check print register"
THINGS, DOING = _THINGS.split(), _DOING.split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    count = 300 if quick else 2_000
    chance = random.Random(1)

    def some() -> tuple[str, str, str]:
        return chance.choice(DOING), chance.choice(THINGS), chance.choice(THINGS)

    entries = []
    for number in range(1_000):
        doing, thing, other = some()
        entries.append(
            Entry(id=str(number), questions=(f"How do I {doing} my {thing} for {other} {number}?",), answer="x")
        )
    index = Index(entries)
    times = []
    for _ in range(count):
        doing, thing, other = some()
        question = f"Hello, could you tell me how to {doing} the {thing} of my {other}? Thanks a lot"
        began = time.perf_counter()
        index.best(question)
        times.append((time.perf_counter() - began) * 1e6)
    times.sort()
    words = {"median_us": round(statistics.median(times)), "p95_us": round(times[int(count * 0.95)])}
    meaning = asyncio.run(by_meaning(entries[: 5 if quick else 50], 5 if quick else 50))
    print(json.dumps({"router_faq_1000_entries": words, "router_faq_by_meaning": meaning}))


async def by_meaning(entries: list[Entry], count: int) -> dict[str, int]:
    """How long reading an entry takes, and finding one."""
    began = time.perf_counter()
    found = Meaning(entries)
    await found.wait()
    reading_us = (time.perf_counter() - began) * 1e6 / len(entries)
    times = []
    for number in range(count):
        began = time.perf_counter()
        await found.best(f"Hello, could you tell me how to {DOING[number % len(DOING)]} my order?")
        times.append((time.perf_counter() - began) * 1e6)
    await found.close()
    return {"reading_an_entry_us": round(reading_us), "median_us": round(statistics.median(times))}


if __name__ == "__main__":
    main()
