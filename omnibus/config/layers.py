"""What the environment and flags put over the file: one value each, at the path their name spells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from omnibus.config.document import MAX_DEPTH, Node
from omnibus.config.errors import ConfigError, Mark, near

PREFIX = "OMNIBUS_"
SEPARATOR = "__"


def overlay(
    root: Node, env: Mapping[str, str], flags: Mapping[str, str], sections: Iterable[str]
) -> tuple[Node, list[ConfigError]]:
    """The tree with ``OMNIBUS_HTTP__PORT=...`` and then ``http.port=...`` laid over it, and what did not fit."""
    errors: list[ConfigError] = []
    known = tuple(sections)
    for steps, value in [*_from_env(env, known, errors), *_from_flags(flags)]:
        root = _put(root, steps, value, errors)
    return root, errors


def _from_env(
    env: Mapping[str, str], sections: tuple[str, ...], errors: list[ConfigError]
) -> Iterator[tuple[list[str], Node]]:
    """Empty values count as not given, as they do in compose files and unit files."""
    for name in sorted(env):
        if not name.startswith(PREFIX) or not env[name]:
            continue
        mark = Mark(f"environment variable {name}")
        steps = name.removeprefix(PREFIX).lower().split(SEPARATOR)
        if steps[0] in sections:
            yield steps, Node(env[name], mark, env[name], untyped=True)
        elif len(steps) > 1:
            errors.append(ConfigError(mark, "", f"unknown section {steps[0]}", near(steps[0], sections)))


def _from_flags(flags: Mapping[str, str]) -> Iterator[tuple[list[str], Node]]:
    for path, value in flags.items():
        yield path.split("."), Node(value, Mark(f"flag {path}"), value, untyped=True)


def _put(node: Node, steps: list[str], value: Node, errors: list[ConfigError]) -> Node:
    """The tree with `value` at the path; nodes on the way are copied, since aliases may share them."""
    if not steps:
        return value
    if not steps[0] or len(steps) > MAX_DEPTH:
        errors.append(ConfigError(value.mark, "", "not a path to a setting"))
        return node
    if isinstance(node.data, list):
        return _put_in_list(node, node.data, steps, value, errors)
    if node.data is not None and not isinstance(node.data, dict):
        errors.append(
            ConfigError(value.mark, "", f"there is a single value where {steps[0]} should be inside a mapping")
        )
        return node
    entries = dict(node.data or {})
    key = _same_key(entries, steps[0])
    inner = entries.get(key, Node(None, value.mark))
    entries[key] = _put(inner, steps[1:], value, errors)
    return Node(entries, node.mark, size=node.size)


def _put_in_list(node: Node, items: list[Node], steps: list[str], value: Node, errors: list[ConfigError]) -> Node:
    if not (steps[0].isascii() and steps[0].isdigit() and int(steps[0][:9]) < len(items)):
        errors.append(ConfigError(value.mark, "", f"expected a number below {len(items)}, got {steps[0][:40]!r}"))
        return node
    index = int(steps[0])
    changed = [*items[:index], _put(items[index], steps[1:], value, errors), *items[index + 1 :]]
    return Node(changed, node.mark, size=node.size)


def _same_key(entries: Mapping[str, Node], step: str) -> str:
    """The key that is spelled so, allowing for what environment names cannot spell: case and hyphens."""
    if step in entries:
        return step
    folded = step.lower().replace("-", "_")
    return next((key for key in entries if key.lower().replace("-", "_") == folded), step)
