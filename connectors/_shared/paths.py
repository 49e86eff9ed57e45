"""Places in foreign data, as operators write them: dotted (``message.text``) or JSON Pointer (``/message/text``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

MISSING: Any = object()
"""What is found where there is nothing."""


def find(data: Any, path: str) -> Any:
    """The value at `path`, MISSING when there is none. A key that is spelled like the whole path comes first.

    JSON Pointer is RFC 6901; a number also counts the entries of a list, from 0.
    """
    return next(found(data, (path,)), MISSING)


def found(data: Any, paths: Sequence[str]) -> Iterator[Any]:
    """What is found at each of the paths, in their order. Most paths lead nowhere, so that costs one look."""
    plain = isinstance(data, dict)
    for path in paths:
        if plain and path in data:
            yield data[path]
            continue
        path_steps = steps(path)
        if plain and (len(path_steps) == 1 or path_steps[0] not in data):
            if path_steps[0] in data:  # a pointer of one step
                yield data[path_steps[0]]
            continue
        value = _walk(data, path_steps)
        if value is not MISSING:
            yield value


def _walk(data: Any, path_steps: Sequence[str]) -> Any:
    for step in path_steps:
        if isinstance(data, dict):
            data = data.get(step, MISSING)
        elif isinstance(data, list) and step.isascii() and step.isdigit() and len(step) < 7:
            data = data[int(step)] if int(step) < len(data) else MISSING
        else:
            return MISSING
    return data


@lru_cache(maxsize=1_024)
def steps(path: str) -> tuple[str, ...]:
    """The keys a path goes through."""
    if path.startswith("/"):
        return tuple(step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/"))
    return tuple(path.split("."))
