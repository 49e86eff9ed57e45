"""HTML kept for showing: what could run or call home is taken out (nh3)."""

from __future__ import annotations

import re

from connectors.email.html import bounded

MAX_DEPTH = 200
"""Elements in one another: the sanitiser takes time that grows with the square of it."""

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})")
# They end where the next of them begins, whether or not anybody wrote the end tag.
_SHALLOW = frozenset(
    (
        *("p", "li", "td", "tr", "th", "dt", "dd", "option", "thead", "tbody", "tfoot", "br", "hr", "img", "input"),
        *("meta", "link", "col", "area", "base", "wbr", "source"),
    )
)
_SCHEMES = {"http", "https", "mailto", "tel", "cid"}


def safe_html(html: str) -> str | None:
    """`html` without scripts, forms, styles and remote images; None when it is nested too deep to look at."""
    import nh3  # a compiled library that only mails with HTML need

    cut = bounded(html)
    if _depth(cut) > MAX_DEPTH:
        return None
    return nh3.clean(cut, url_schemes=_SCHEMES, attribute_filter=_kept, link_rel="noopener noreferrer nofollow")


def _kept(tag: str, attribute: str, value: str) -> str | None:
    """Images are shown from the mail itself only: a remote one tells its sender who read the mail, and when."""
    if tag == "img" and attribute == "src" and not value.lower().startswith("cid:"):
        return None
    return value


def _depth(html: str) -> int:
    depth = deepest = 0
    for end, name in _TAG.findall(html):
        if name.lower() not in _SHALLOW:
            depth = max(0, depth - 1) if end else depth + 1
            deepest = max(deepest, depth)
    return deepest
