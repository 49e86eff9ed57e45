"""Words on their way out: without markup, in pieces as long as the channel takes them."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

from omnibus.channel.send import split_text
from omnibus.model.content import Text

_BLOCKS = frozenset({"p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol"})
_UNSEEN = frozenset({"script", "style", "head", "template"})


def plain(content: Text) -> str:
    """The words of a text: channels without markup would show the tags of HTML, and some refuse an unknown one."""
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
    """The words of HTML, a line for each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        if tag == "br" or (tag in _BLOCKS and self.words and not self.words[-1].endswith("\n")):
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words.append(data)
