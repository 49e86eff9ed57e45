"""Places in foreign data, as operators write them: dotted (``message.text``) or JSON Pointer (``/message/text``)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

MISSING: Any = object()
"""What is found where there is nothing."""


def find(data: Any, path: str) -> Any:
    """The value at `path`, MISSING when there is none. A key that is spelled like the whole path comes first.

    JSON Pointer is RFC 6901; a number also counts the entries of a list, from 0.
    """
    path_steps = steps(path)
    if isinstance(data, dict):
        if path in data:
            return data[path]
        if len(path_steps) == 1:
            return data.get(path_steps[0], MISSING)
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
