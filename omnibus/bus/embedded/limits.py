"""What bounds the embedded bus: queues, memory, lease times. The defaults fit one small machine."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and paces; times are in seconds unless the name says milliseconds."""

    publish_records: int = 50_000
    """Records waiting for a commit, all publishers together; more is Overloaded."""
    publish_bytes: int = 64 * 1024 * 1024
    """Bytes waiting for a commit, all publishers together; more is Overloaded."""
    fetch_bytes: int = 1024 * 1024
    """Bytes of records read ahead for each partition of a stage or sink."""
    state_cache_bytes: int = 2 * 1024 * 1024
    """State kept in memory for each task, in front of the file."""
    burst_ms: float = 25.0
    """Stage code runs this long between two breaths of the event loop."""
    blobs_per_step: int = 32
    blob_concurrency: int = 16
    blob_timeout_s: float = 30.0
    lease_ttl_s: float = 5.0
    """A process silent for this long loses its partitions; a process known to be dead loses them at once."""
    skip_lost: bool = False
    """Records that retention took before they were read are passed, instead of stopping there."""
    poll_ms: float = 20.0
    """How often another process's commits are looked for."""
    restart_backoff_s: tuple[float, float] = (0.05, 30.0)
    checkpoint_bytes: int = 8 * 1024 * 1024
    """The write-ahead log is folded into the file when it has grown beyond this."""
    checkpoint_every_s: float = 30.0
    retention_every_s: float = 60.0
    retention_chunk: int = 5_000
    tombstone_ms: int = 86_400_000
    """A deletion in a table topic stays readable for this long."""
