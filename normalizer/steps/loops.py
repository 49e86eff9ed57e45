"""Loops: two robots answering each other are stopped on every channel by the pace of the thread."""

from __future__ import annotations

from normalizer.state import Thread
from normalizer.work import Work

MARK = "loop_suspected"
"""The attribute of messages that arrived while the breaker was tripped: no automation answers them."""


def loop_suspected(work: Work, thread: Thread) -> bool:
    """Count a message of the thread; True while more arrive than a person types, and for a while after.

    A back-fill brings the mails of years in a minute.
    """
    if work.raw.origin == "backfill":
        return False
    policy = work.policy
    window_ms = int(policy.breaker_window.total_seconds() * 1000)
    if work.received_ms - thread.window_start >= window_ms:
        thread.window_start, thread.window_count = work.received_ms, 0
    thread.window_count += 1
    if thread.window_count > policy.breaker_messages:
        thread.tripped_until = work.received_ms + int(policy.breaker_release.total_seconds() * 1000)
    return work.received_ms < thread.tripped_until
