"""The little Markdown that people write in answers, as safe HTML: paragraphs, lists, emphasis, code, links."""

from __future__ import annotations

import re
from html import escape

_CODE = re.compile(r"`([^`\n]{1,500})`")
_LINK = re.compile(r"\[([^\[\]\n]{1,500})\]\((https?://[^()\s]{1,2000}|mailto:[^()\s]{1,320})\)")
_BOLD = re.compile(r"\*\*([^*\n]{1,1000})\*\*")
_ITALIC = re.compile(r"(?<![\w*])[*_]([^*_\n]{1,1000})[*_](?![\w*])")
_ITEM = re.compile(r"^\s{0,8}(?:[-*+]|\d{1,3}[.)])\s+(.*)$")


def markdown_to_html(text: str) -> str:
    """Everything else is escaped: what looks like HTML in the text is shown, never run."""
    blocks = [block for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")) if block.strip()]
    return "\n".join(_block(block) for block in blocks)


def _block(block: str) -> str:
    lines = block.strip("\n").split("\n")
    items = [_ITEM.match(line) for line in lines]
    if all(items):
        listed = "".join(f"<li>{_inline(item.group(1))}</li>" for item in items if item)
        kind = "ol" if lines[0].lstrip()[:1].isdigit() else "ul"
        return f"<{kind}>{listed}</{kind}>"
    return f"<p>{'<br>'.join(_inline(line) for line in lines)}</p>"


def _inline(line: str) -> str:
    html = escape(line, quote=True)
    html = _CODE.sub(r"<code>\1</code>", html)
    html = _LINK.sub(r'<a href="\2">\1</a>', html)
    return _ITALIC.sub(r"<em>\1</em>", _BOLD.sub(r"<strong>\1</strong>", html))
