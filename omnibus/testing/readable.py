"""Differences as people read them."""

from __future__ import annotations

import difflib
import json
from typing import Any


def difference(expected: Any, got: Any, expected_name: str, got_name: str) -> str:
    """A unified diff of two values as JSON; empty when they are equal."""
    if expected == got:
        return ""
    lines = difflib.unified_diff(_lines(expected), _lines(got), expected_name, got_name, lineterm="")
    return "\n".join(lines) or f"{expected_name} and {got_name} differ in the types of their numbers"


def shortened(value: Any, limit: int = 300) -> str:
    """Anything in at most so many characters."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[: limit - 20]}... ({len(text)} characters)"


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines()
