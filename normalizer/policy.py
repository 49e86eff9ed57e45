"""The windows and limits the normalizer works with."""

from __future__ import annotations

from datetime import timedelta

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults serve most installations.

    seen_for: how long an event's id is remembered; longer than any provider repeats a webhook.
    links_for: how long a mail can be answered and still find its thread by its references.
    weak_link_for: how long a subject alone (same sender) leads to the thread.
    threads_for: how long a silent thread is remembered, to link its follow-up.
    breaker_messages in breaker_window: more inbound messages of one thread than this look like two robots talking.
    breaker_release: a tripped breaker lets go after this long without another trip.
    text_max_chars: longer texts are cut; the raw event has all of it.
    fragments_wait: how long the pieces of a long message are waited for before what is there is told.
    fragments_for: how long a piece that is late still belongs to the message it is missing from.
    """

    seen_for: timedelta = timedelta(days=30)
    links_for: timedelta = timedelta(days=180)
    weak_link_for: timedelta = timedelta(days=7)
    threads_for: timedelta = timedelta(days=400)
    breaker_messages: int = 60
    breaker_window: timedelta = timedelta(minutes=1)
    breaker_release: timedelta = timedelta(minutes=10)
    text_max_chars: int = 500_000
    fragments_wait: timedelta = timedelta(minutes=1)
    fragments_for: timedelta = timedelta(hours=6)
