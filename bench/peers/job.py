"""The job that every peer does, and how its cost is told; imports nothing, so that each peer's environment has it."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

WARM = 500
"""Messages before the clock starts: connections, caches and groups are there then."""


def mapped(message: dict[str, Any]) -> dict[str, Any]:
    """What a channel's mapping does at least: other names, another shape."""
    return {
        "id": f"msg_{message['id']}",
        "conversation": message["thread"],
        "author": {"type": "contact", "id": message["from"]},
        "content": {"type": "text", "text": message["text"]},
        "received_at": message["at"],
    }


class Meter:
    """CPU of this whole process, threads of C libraries among it, for each message after the first ones."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.done = 0
        self._from = 0
        self._cpu = self._wall = 0.0

    def add(self, messages: int = 1) -> bool:
        """Say that so many are done; True once all are."""
        self.done += messages
        if not self._from and self.done >= WARM:
            self._from, self._cpu, self._wall = self.done, time.process_time(), time.perf_counter()
        return self.done >= self.count

    def tell(self, version: str, configuration: str) -> None:
        """Print what it cost; the runner reads the last line."""
        worked = self.done - self._from
        found = {
            "us_per_message": round((time.process_time() - self._cpu) / worked * 1e6, 1),
            "per_second": round(worked / (time.perf_counter() - self._wall)),
            "messages": worked,
            "version": version,
            "configuration": configuration,
        }
        print(json.dumps(found), file=sys.__stdout__, flush=True)
