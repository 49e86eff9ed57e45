"""The `from` of a sink: the topics behind the words an operator writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from omnibus.bus.topics import Topics
from omnibus.errors import Misconfigured

ACCEPTED = (
    "events, conversations, contacts, commands, outcomes, dead-letters, "
    "queue:NAME, automation:NAME, queue:*, automation:*"
)


def topics_of(
    words: Sequence[str], topics: Topics, *, queues: Iterable[str], automations: Iterable[str]
) -> tuple[str, ...]:
    """The topics these words name, each once. Raises Misconfigured with the accepted words."""
    streams = {
        "events": topics.events,
        "conversations": topics.conversations,
        "contacts": topics.contacts,
        "commands": topics.commands,
        "outcomes": topics.outcomes,
        "dead-letters": topics.dead_letters,
        **{f"queue:{name}": topics.queue(name) for name in sorted(queues)},
        **{f"automation:{name}": topics.automation(name) for name in sorted(automations)},
    }
    found = [topic for word in words for topic in _named(word, streams)]
    if not found:
        raise Misconfigured("from", f"expected at least one of {ACCEPTED}")
    return tuple(dict.fromkeys(found))


def _named(word: str, streams: dict[str, str]) -> list[str]:
    if word.endswith(":*"):
        return [topic for name, topic in streams.items() if name.startswith(word[:-1])]
    if word not in streams:
        raise Misconfigured("from", f"expected one of {ACCEPTED}, got {word[:60]!r}")
    return [streams[word]]
