"""Words without markup: Meta's channels show marks of HTML as they are."""

from __future__ import annotations

from html.parser import HTMLParser

from omnibus.model.content import Text


def plain(content: Text) -> str:
    """The words of a text."""
    if content.format != "html":
        return content.text
    reader = _Words()
    reader.feed(content.text)
    reader.close()
    return "".join(reader.words).strip()


class _Words(HTMLParser):
    """The words of HTML, a line for each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("br", "p", "div", "li", "tr", "h1", "h2", "h3"):
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
