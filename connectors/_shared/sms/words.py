"""What a text message can say: words without markup."""

from __future__ import annotations

from html.parser import HTMLParser

from omnibus.model.content import Text

_BLOCKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol"})
_UNSEEN = frozenset({"script", "style", "head", "template"})


def plain(content: Text) -> str:
    """The words of a text; a phone would show the tags of HTML."""
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
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        if tag in _BLOCKS and self.words and not self.words[-1].endswith("\n"):
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words.append(data)
