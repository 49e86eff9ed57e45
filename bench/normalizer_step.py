"""Cost of the normalizer's step for each message, on state in memory: decode, map, steps, encode."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from normalizer.policy import Policy
from normalizer.stage import NormalizerStage, spec
from omnibus import clock
from omnibus.bus.port import Record
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.registry import discover
from omnibus.model.raw import RawEvent, encode_raw
from omnibus.testing.memory_state import MemoryBacking, run

TOPICS = Topics()
AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def records(count: int, people: int) -> list[Record]:
    """Webhook requests of `people` who write in turn."""
    found = []
    for number in range(count):
        body = json.dumps(
            {
                "id": f"m-{number}",
                "from": {"id": f"person-{number % people}", "name": "Ana Exemplo"},
                "text": "Good morning, I need some help with my last invoice please",
            }
        ).encode()
        raw = RawEvent(
            id=f"raw_{number:032x}",
            channel="webhook",
            account="hook",
            received_at=AT,
            body=body,
            headers=(("content-type", "application/json"),),
        )
        found.append(Record(TOPICS.raw("webhook"), 0, number, clock.to_ms(AT), b"k", encode_raw(raw)))
    return found


def measure(count: int = 20_000, people: int = 2_000, batch: int = 200) -> dict[str, Any]:
    """Microseconds for each message, over `count` messages in steps of `batch`."""
    channel = discover().get("webhook")
    account = Account(name="hook", channel=channel, settings=channel.settings(), inactivity=timedelta(days=1))
    policy = Policy()
    stage, stage_spec = NormalizerStage({"hook": account}, TOPICS, policy), spec(TOPICS, ["webhook"], policy)
    backing, work = MemoryBacking(), records(count, people)
    outs = 0
    began = time.process_time()
    for start in range(0, count, batch):
        result = run(stage, stage_spec, *work[start : start + batch], backing=backing, now_ms=clock.to_ms(AT))
        assert not result.dead, result.dead[0].headers
        outs += len(result.outs)
    seconds = time.process_time() - began
    return {"us_per_message": round(seconds / count * 1e6, 1), "messages": count, "events": outs}


if __name__ == "__main__":
    print(json.dumps(measure()))
