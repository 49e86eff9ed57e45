"""Words on their way out: without markup, in pieces as long as the channel takes them."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

from omnibus.channel.send import split_text
from omnibus.model.content import Text

_BLOCKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"})


def plain(content: Text) -> str:
    """The words of a text; those of HTML without its tags, a line for each block."""
    if content.format != "html":
        return content.text
    reader = _Words()
    reader.feed(content.text)
    reader.close()
    return "".join(reader.words).strip()


def units(text: str) -> int:
    """The length in UTF-16, where an emoji counts as two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def pieces(text: str, limit: int) -> Sequence[str]:
    """`text` in pieces of at most `limit` units of UTF-16, none of them empty."""
    # Rare enough to cut texts with characters that count twice simply shorter.
    fits = limit if units(text) == len(text) else limit // 2
    return [piece for piece in split_text(text, fits) if piece.strip()]


def shortened(text: str, limit: int) -> str:
    """`text` in at most `limit` units of UTF-16, with an ellipsis where something is missing."""
    if units(text) <= limit:
        return text
    cut = text[: limit - 1]
    while units(cut) > limit - 1:
        cut = cut[:-1]
    return f"{cut}…"


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
