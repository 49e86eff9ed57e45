"""Quix Streams, exactly once (https://quix.io/docs/quix-streams/configuration.html#processing-guarantees)."""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from typing import Any

from quixstreams import Application

from bench.peers.job import Meter, mapped

SAID = (
    "StreamingDataFrame.apply().to_topic(), JSON serializers, processing_guarantee=exactly-once, commit_interval=1 s, "
    "zstd; everything else as it comes"
)


def run(brokers: str, source: str, target: str, count: int) -> None:
    meter = Meter(count)
    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            broker_address=brokers,
            consumer_group="peer-quix",
            auto_offset_reset="earliest",
            processing_guarantee="exactly-once",
            commit_interval=1.0,
            auto_create_topics=False,
            state_dir=folder,
            loglevel="ERROR",
            producer_extra_config={"compression.type": "zstd"},
        )

        def handle(message: dict[str, Any]) -> dict[str, Any]:
            meter.add()
            return mapped(message)

        frame = app.dataframe(app.topic(source, value_deserializer="json"))
        frame.apply(handle).to_topic(app.topic(target, value_serializer="json"))
        app.run(count=count, collect=False)
    meter.tell(f"quixstreams {version('quixstreams')}", SAID)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
