"""HTML bodies into plain text, with blocks, lists and links, in one linear parse."""

from __future__ import annotations

import re
from collections.abc import Sequence

from resiliparse.extract.html2text import extract_plain_text

MAX_HTML = 1_000_000
"""Characters looked at: beyond this nobody wrote the mail by hand, and the raw event has all of it."""

_HIDDEN = ('[style*="display:none" i]', '[style*="display: none" i]', "head", "script", "style", "template", "title")
_TRAILING = re.compile(r"[ \t\u00a0\u200b]+(?=\n)")
_GAPS = re.compile(r"\n{3,}")


def html_to_text(html: str, skip: Sequence[str] = ()) -> str:
    """What a reader of `html` sees; `skip` are CSS selectors of elements left out. Never loads anything."""
    text = extract_plain_text(
        html[:MAX_HTML],
        preserve_formatting=True,
        list_bullets=True,
        alt_texts=True,
        links=True,
        hidden_elements=True,
        skip_elements=[*_HIDDEN, *skip],
    )
    return _GAPS.sub("\n\n", _TRAILING.sub("", text)).strip()
