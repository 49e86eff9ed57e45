"""HTML bodies into plain text, with blocks, lists and links, in one linear parse."""

from __future__ import annotations

import re
from itertools import islice

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

MAX_HTML = 400_000
"""Characters looked at: beyond this nobody wrote the mail by hand, and the raw event has all of it."""

MAX_TAGS = 15_000
"""Tags looked at: a newsletter has a few thousand, and a tree of more is only built to keep readers busy."""

_TAG = re.compile("<")
_HIDDEN = ('[style*="display:none" i]', '[style*="display: none" i]', "head", "script", "style", "template", "title")
_TRAILING = re.compile(r"[ \t\u00a0\u200b]+(?=\n)")
_LINK = re.compile(r" \(([^()\s]{1,2000})\)")
_GAPS = re.compile(r"\n{3,}")


def html_to_text(html: str | HTMLTree) -> str:
    """What a reader of `html` sees, as text. Never loads anything."""
    text = extract_plain_text(
        bounded(html) if isinstance(html, str) else html,
        preserve_formatting=True,
        list_bullets=True,
        alt_texts=True,
        links=True,
        hidden_elements=True,
        skip_elements=_HIDDEN,
    )
    return _GAPS.sub("\n\n", _TRAILING.sub("", _LINK.sub(_link, text))).strip()


def bounded(html: str) -> str:
    """As much of `html` as is looked at."""
    cut = html[:MAX_HTML]
    if cut.count("<") <= MAX_TAGS:
        return cut
    return cut[: next(islice(_TAG.finditer(cut), MAX_TAGS, None)).start()]


def _link(found: re.Match[str]) -> str:
    """Nothing where the words of a link are its address already: `ana@example.com (mailto:ana@example.com)`."""
    target = found.group(1)
    bare = target.removeprefix("mailto:").removesuffix("/")
    before = found.string[max(0, found.start() - len(target) - 1) : found.start()].removesuffix("/")
    return "" if before.endswith(bare.removeprefix("https://").removeprefix("http://")) else found.group()
