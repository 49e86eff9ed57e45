"""Which parts of a mail are its text and which are files: RFC 8621 section 4.1.4, the algorithm of JMAP."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors._shared.mime import charset
from connectors._shared.mime.parse import Part

_TEXT_TYPES = frozenset({"text/plain", "text/html"})
_MEDIA_PREFIXES = ("image/", "audio/", "video/")


@dataclass(slots=True)
class Bodies:
    """`text` and `html` are what to show (a mail without plain text shows its HTML part in both); the rest is files."""

    text: list[Part] = field(default_factory=list)
    html: list[Part] = field(default_factory=list)
    files: list[Part] = field(default_factory=list)


def bodies_of(root: Part) -> Bodies:
    """Sorts the parts of a mail. Enclosed messages are files, whatever is in them."""
    bodies = Bodies()
    _sort([root], "mixed", False, bodies.text, bodies.html, bodies.files)
    return bodies


# The parameters and their order are those of the RFC's algorithm.
def _sort(
    parts: list[Part],
    multipart: str,
    in_alternative: bool,
    text: list[Part] | None,
    html: list[Part] | None,
    files: list[Part],
) -> None:
    text_before = len(text) if text is not None else -1
    html_before = len(html) if html is not None else -1
    for index, part in enumerate(parts):
        if part.is_multipart:
            kind = part.content_type.partition("/")[2]
            _sort(part.children, kind, in_alternative or kind == "alternative", text, html, files)
        elif not _is_body(part, index, multipart):
            files.append(part)
        elif multipart == "alternative":
            _place_alternative(part, text, html, files)
        else:
            text, html = _place(part, in_alternative, text, html, files)
    if multipart == "alternative" and text is not None and html is not None:
        _share(text, text_before, html, html_before)


def _is_body(part: Part, index: int, multipart: str) -> bool:
    if part.disposition == "attachment" or part.is_message:
        return False
    if part.content_type in _TEXT_TYPES:
        return index == 0 or (multipart != "related" and not part.file_name)
    is_media = part.content_type.startswith(_MEDIA_PREFIXES)
    return is_media and index == 0 and multipart != "related" and not part.file_name


def _place_alternative(part: Part, text: list[Part] | None, html: list[Part] | None, files: list[Part]) -> None:
    if part.content_type == "text/plain" and text is not None:
        text.append(part)
    elif part.content_type == "text/html" and html is not None:
        html.append(part)
    else:
        files.append(part)


def _place(
    part: Part, in_alternative: bool, text: list[Part] | None, html: list[Part] | None, files: list[Part]
) -> tuple[list[Part] | None, list[Part] | None]:
    if in_alternative:
        # Inside an alternative, the kind seen first says which of both the rest belongs to.
        if part.content_type == "text/plain":
            html = None
        elif part.content_type == "text/html":
            text = None
    if part.content_type not in _TEXT_TYPES:
        files.append(part)
        return text, html
    if text is not None:
        text.append(part)
    if html is not None:
        html.append(part)
    return text, html


def _share(text: list[Part], text_before: int, html: list[Part], html_before: int) -> None:
    """An alternative with one kind only is shown as both."""
    if len(text) == text_before and len(html) != html_before:
        text.extend(html[html_before:])
    elif len(html) == html_before and len(text) != text_before:
        html.extend(text[text_before:])


def text_of_part(part: Part) -> str:
    """The part's text with line feeds only."""
    declared = part.params.get("charset")
    return charset.decode(part.decoded(), declared, part.headers.hint).replace("\r\n", "\n").replace("\r", "\n")
