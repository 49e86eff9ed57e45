"""What a reload takes, and what it leaves to the next start."""

from __future__ import annotations

import pytest

from omnibus.cli.plugins import known_types, sections, settings_of
from omnibus.config.changes import needs_restart
from omnibus.config.load import loads
from omnibus.config.model import Config

TEXT = """
channels: {site: {type: webhook, reply_secret: abcdefghijklmnop}}
queues: {general: {}}
automations: {ack: {type: acknowledge}}
routes: [{name: all, to: "queue:general"}]
sinks:
  all: {type: jsonl, folder: ./out, from: ["queue:*"]}
  one: {type: jsonl, folder: ./one, from: ["queue:general"]}
"""


def config(text: str) -> Config:
    return loads(text, settings_of=settings_of, known_types=known_types, sections=sections())


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ("{name: all,", "{name: other, when: 'true',", ()),
        ("{general: {}}", "{general: {capacity: 5}}", ()),
        ("ack: {type: acknowledge}", "ack: {type: acknowledge}, more: {type: acknowledge}", ()),
        ("queues:", "breaker: {messages: 5}\nqueues:", ()),
        ("{general: {}}", "{general: {}, night: {}}", ("sinks.all",)),
        ("abcdefghijklmnop", "ponmlkjihgfedcba", ("channels.site",)),
        ("queues:", "partitions: 3\ndrain: 5s\nqueues:", ("partitions", "drain")),
        ("{type: acknowledge}", "{type: acknowledge, timeout: 5s}", ("automations.ack",)),
        ("folder: ./one", "folder: ./two", ("sinks.one",)),
    ],
)
def test_a_reload_takes_rules_queues_and_new_automations(old: str, new: str, left: tuple[str, ...]) -> None:
    assert old in TEXT
    assert needs_restart(config(TEXT), config(TEXT.replace(old, new, 1))) == left
