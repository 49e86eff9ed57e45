"""An operator names streams and queues; the engine knows the topics."""

from __future__ import annotations

import pytest

from omnibus.bus.topics import Topics
from omnibus.errors import Misconfigured
from sinks._engine.inputs import topics_of


def named(*words: str) -> tuple[str, ...]:
    return topics_of(words, Topics("acme"), queues=["billing", "general"], automations=["faq"])


def test_words_become_topics() -> None:
    assert named("events", "queue:billing", "automation:faq", "dead-letters") == (
        "acme.events",
        "acme.queue.billing",
        "acme.automation.faq",
        "acme.dead-letters",
    )


def test_a_star_means_each_of_them_once() -> None:
    assert named("queue:general", "queue:*") == ("acme.queue.general", "acme.queue.billing")


@pytest.mark.parametrize("words", [(), ("queue:unknown",), ("everything",), ("queue:",)])
def test_other_words_are_refused_with_those_that_work(words: tuple[str, ...]) -> None:
    with pytest.raises(Misconfigured, match="events, conversations"):
        named(*words)
