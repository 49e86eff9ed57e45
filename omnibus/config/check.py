"""Checks that look across sections: names that must exist, names that must be unique.

They read the document rather than the settings made from it, so that an entry with a mistake of its own still has
its names checked, and all errors come together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from omnibus.config.document import Node, quoted
from omnibus.config.errors import ConfigError, near

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
"""Names of channels, queues, automations and sinks: they become part of topic names."""
STREAMS = ("events", "conversations", "contacts", "commands", "outcomes", "dead-letters")
"""What a sink may read besides queues and automations."""

_NAMED = ("channels", "queues", "automations", "sinks")
_TARGETS = {"queue": "queues", "automation": "automations"}
_KINDS = {section: kind for kind, section in _TARGETS.items()}
_EFFECTS = ("to", "targets", "split", "sticky", "priority", "tags", "skills", "language", "attributes", "stop")


def check(top: Mapping[str, Node]) -> Iterator[ConfigError]:
    """Everything wrong between the sections of a document."""
    names = {section: entries(top.get(section)) for section in _NAMED}
    yield from _names(names)
    yield from _routes(items(top.get("routes")), names)
    yield from _queues(names)
    for name, sink in names["sinks"].items():
        yield from _sources(f"sinks.{name}.from", items(entries(sink).get("from")), names)


def entries(node: Node | None) -> dict[str, Node]:
    """The entries of a mapping, none of anything else."""
    return node.data if node is not None and isinstance(node.data, dict) else {}


def items(node: Node | None) -> list[Node]:
    """The items of a list, none of anything else."""
    return node.data if node is not None and isinstance(node.data, list) else []


def _names(names: Mapping[str, Mapping[str, Node]]) -> Iterator[ConfigError]:
    for section, given in names.items():
        for name, node in given.items():
            if not NAME.fullmatch(name):
                hint = "accepted: 1 to 63 letters, digits, _ and -, the first a letter or digit"
                yield ConfigError(node.mark, f"{section}.{name[:60]}", "not a usable name", hint)


def _routes(routes: list[Node], names: Mapping[str, Mapping[str, Node]]) -> Iterator[ConfigError]:
    seen: set[str] = set()
    for index, node in enumerate(routes):
        path, route = f"routes.{index}", entries(node)
        if (name := route.get("name")) is not None:
            if name.text in seen:
                yield ConfigError(name.mark, f"{path}.name", f"another route is called {quoted(name)}")
            seen.add(name.text)
        if route and not any(key in route for key in _EFFECTS):
            yield ConfigError(node.mark, path, "the route does nothing", "give it a target: to")
        if (target := route.get("to")) is not None and target.text not in ("drop", "hold"):
            yield from _target(f"{path}.to", target, names, "queue:NAME, automation:NAME, drop or hold")


def _queues(names: Mapping[str, Mapping[str, Node]]) -> Iterator[ConfigError]:
    for name, queue in names["queues"].items():
        overflow = entries(queue).get("overflow")
        if overflow is None or not overflow.text or overflow.faulty:
            continue
        path = f"queues.{name}.overflow"
        if overflow.text == name:
            yield ConfigError(overflow.mark, path, "a queue cannot overflow into itself")
        elif overflow.text not in names["queues"]:
            hint = near(overflow.text, names["queues"])
            yield ConfigError(overflow.mark, path, f"unknown queue {quoted(overflow)}", hint)


def _sources(path: str, sources: list[Node], names: Mapping[str, Mapping[str, Node]]) -> Iterator[ConfigError]:
    accepted = f"queue:NAME, automation:NAME, queue:*, automation:*, {', '.join(STREAMS)}"
    for index, source in enumerate(sources):
        if source.text not in (*STREAMS, "queue:*", "automation:*"):
            yield from _target(f"{path}.{index}", source, names, accepted)


def _target(path: str, node: Node, names: Mapping[str, Mapping[str, Node]], accepted: str) -> Iterator[ConfigError]:
    if node.faulty or not node.text:
        return
    kind, _, name = node.text.partition(":")
    section = _TARGETS.get(kind)
    if section is None or not name:
        yield ConfigError(node.mark, path, f"expected a target, got {quoted(node)}", f"accepted: {accepted}")
    elif name not in names[section]:
        called = quoted(node) if node.untyped else repr(name[:60])
        yield ConfigError(node.mark, path, f"unknown {_KINDS[section]} {called}", near(name, names[section]))
