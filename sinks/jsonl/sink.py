"""JSON lines: every event as one line of a file, for archives, imports and a first look."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from omnibus.config.fields import Duration, FilePath, Size, described
from sinks._engine.declaration import Sink, SinkSettings


class JsonlSettings(SinkSettings, frozen=True, kw_only=True):
    """Where the files are, and when a new one begins."""

    folder: Annotated[FilePath, described("Folder of the files; made when it is not there.")] = Path(
        "omnibus-data/events"
    )
    max_bytes: Annotated[Size, described("A file is not made larger than this.", example="100MB")] = 100_000_000
    fsync: Annotated[
        bool, described("Wait for the disk after every batch; off, a power cut may cost the last seconds.")
    ] = True
    keep_files: Annotated[
        Annotated[int, Meta(ge=1)] | None, described("Delete the oldest files beyond this number; empty keeps all.")
    ] = None
    give_up_after: Annotated[
        Duration | None, described("Empty, because a full disk must not cost an event: the sink waits for room.")
    ] = None


SINK = Sink(
    name="jsonl",
    title="JSON lines",
    docs="https://jsonlines.org/",
    settings=JsonlSettings,
    make=".files:JsonlSink",
    by_key=False,
    max_batch=500,
    needs=frozenset({"files"}),
)

SUPPRESSED_LINES = 10_000
"""Ids of so many last lines are remembered: more than can come again after a crash (500 for each partition)."""

RETRY_LOCKED = timedelta(seconds=5)
"""How long to wait for another process to leave the folder."""
