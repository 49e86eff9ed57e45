"""What bounds the Kafka engine: times, sizes, paces. docs/guide/kafka.md explains the ones an operator may turn."""

from __future__ import annotations

import msgspec

from omnibus.bus.kafka.batches import Compression


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and paces; times are in seconds unless the name says milliseconds."""

    session_timeout_ms: int = 15_000
    """A member silent for this long loses its partitions. Not below the broker's group.min.session.timeout.ms."""
    heartbeat_ms: int = 1_000
    rebalance_timeout_ms: int = 25_000
    """How long a rebalance waits for members to join again."""
    transaction_timeout_ms: int = 20_000
    """After this the broker aborts a transaction whose owner is gone: so long its readers may be held up at most."""
    request_timeout_s: float = 10.0
    fence_timeout_s: float = 60.0
    restore_timeout_s: float = 120.0
    stall_s: float = 60.0
    """A partition that could not be read for this long fails its task, and the health says so."""
    fetch_wait_ms: int = 250
    fetch_bytes: int = 8 * 1024 * 1024
    """At most this much is read in one request."""
    partition_bytes: int = 1024 * 1024
    """Bytes of records read ahead for each partition of a stage or sink."""
    batch_bytes: int = 512 * 1024
    """Records of one partition travel in batches of about this size before compression."""
    compression: Compression = "zstd"
    publish_records: int = 50_000
    """Records waiting for the broker in one publisher; more is Overloaded."""
    publish_bytes: int = 64 * 1024 * 1024
    publish_timeout_s: float = 15.0
    """After this a publish whose batch has no answer raises PublishUnknown."""
    lanes: int = 4
    """Connections to each broker that transactions are spread over: a broker serves one request a connection."""
    commit_interval_ms: tuple[float, float] = (5.0, 250.0)
    """Shortest and longest pause between two commits of a task: short when idle, longer under load."""
    burst_ms: float = 25.0
    """Stage code runs this long between two breaths of the event loop."""
    blob_concurrency: int = 16
    blob_timeout_s: float = 30.0
    state_cache_bytes: int = 8 * 1024 * 1024
    """State kept in memory for each task, in front of its file."""
    report_every_s: float = 0.25
    """How often the group's offsets (for lag only) follow the positions in the changelogs."""
    settle_s: float = 5.0
    """How long a sink's running calls may hold up a rebalance."""
    skip_lost: bool = False
    """Records that retention took before they were read are passed, instead of stopping there."""
    restart_backoff_s: tuple[float, float] = (0.05, 30.0)
    replication: int = 3
    """Replicas of every topic; a cluster with fewer brokers gets as many as it has."""
