"""Choices where a channel has no room for buttons."""

from __future__ import annotations

from omnibus.model.content import Choices, Option


def numbered(content: Choices) -> str:
    """The question, and its options as numbered lines."""
    lines = [f"{number}. {_line(option)}" for number, option in enumerate(content.options, start=1)]
    return "\n".join([content.text, "", *lines] if content.text and lines else [content.text, *lines]).strip()


def _line(option: Option) -> str:
    return " – ".join(part for part in (option.title, option.description, option.url) if part)


def cut(text: str, limit: int) -> str:
    """At most so many characters, with a mark where something is missing."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
