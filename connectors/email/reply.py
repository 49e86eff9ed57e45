"""What the author of a mail wrote this time: without quotations, with the signature set apart.

One pass over the lines. A quotation is what follows an attribution, a quoted header block or a mark between dashes,
and blocks of lines with `>`. Answers above, below and between quotations stay; the full text is kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.email.quotation import (
    attribution_at,
    header_block_at,
    is_divider,
    is_forward_mark,
    is_original_mark,
    may_be_attribution,
)
from connectors.email.signature import signature_start

MAX_LINES = 5_000
MAX_TRIES = 500
"""Lines that look like the beginning of a quotation and are none, in one text."""


@dataclass(frozen=True)
class Reply:
    """The parts of a mail's text. `visible` is body and signature as they stood."""

    body: str
    signature: str = ""
    visible: str = ""
    has_quotation: bool = False
    forwards: bool = False


def split_reply(text: str, *, quotes_marked: bool = False) -> Reply:
    """Never raises; linear in the text. A forward stays whole: what it encloses is what it is for.

    `quotes_marked` says that every line with `>` is known to be a quotation.
    """
    lines = text.split("\n")[:MAX_LINES]
    scan = _Scan(lines, quotes_marked=quotes_marked)
    scan.run()
    kept = _trimmed(scan.kept)
    start = signature_start(kept)
    return Reply(
        body="\n".join(_trimmed(kept[:start])),
        signature="\n".join(_trimmed(kept[start:])),
        visible="\n".join(kept),
        has_quotation=scan.found,
        forwards=scan.forwards,
    )


class _Scan:
    """One pass; `kept` are the author's lines."""

    def __init__(self, lines: Sequence[str], *, quotes_marked: bool) -> None:
        self._lines = lines
        self._at = 0
        self._tries = 0
        self._unannounced = quotes_marked or _has_quote_block(lines)
        self.kept: list[str] = []
        self.found = False
        self.forwards = False

    def run(self) -> None:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if is_forward_mark(line) and not self.found:
                self.forwards = True
                self.kept.extend(self._lines[self._at :])
                return
            begin = self._at
            if self._quotes_the_rest():
                return
            if self._at > begin:
                continue
            if _is_quoted(line) and (self.found or self._unannounced):
                self._skip_quoted()
            else:
                self.kept.append(line)
                self._at += 1

    def _quotes_the_rest(self) -> bool:
        """Handles a quotation that begins here; True when it goes to the end."""
        if self._is_header_block():
            self.found = True
            self._drop_dividers()
            return True
        end = self._announced()
        if end is None:
            return False
        self.found = True
        self._at = end
        self._skip_blank()
        if self._at < len(self._lines) and _is_quoted(self._lines[self._at]):
            self._skip_quoted()
            return False
        self._drop_dividers()
        return True

    def _announced(self) -> int | None:
        """Where the words that announce a quotation end; the author's words on their line are kept."""
        if is_original_mark(self._lines[self._at]):
            return self._at + 1
        if self._tries >= MAX_TRIES:
            return None
        attribution = attribution_at(self._lines, self._at)
        if attribution is None:
            self._tries += may_be_attribution(self._lines, self._at)
            return None
        if attribution.prefix:
            self.kept.append(attribution.prefix)
        return attribution.end

    def _is_header_block(self) -> bool:
        return header_block_at(self._lines, self._at) is not None

    def _drop_dividers(self) -> None:
        while self.kept and (not self.kept[-1].strip() or is_divider(self.kept[-1])):
            self.kept.pop()

    def _skip_blank(self) -> None:
        while self._at < len(self._lines) and not self._lines[self._at].strip():
            self._at += 1

    def _skip_quoted(self) -> None:
        """Quoted lines, and lines that a mail program broke out of them."""
        self.found = True
        open_link = False
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if _is_quoted(line):
                open_link = line.count("(") > line.count(")") or line.count("<") > line.count(">")
            elif not (line.strip() and self._is_broken_out(line, open_link)):
                return
            self._at += 1

    def _is_broken_out(self, line: str, open_link: bool) -> bool:
        after = self._lines[self._at + 1] if self._at + 1 < len(self._lines) else ""
        is_link = line.lstrip().startswith(("(http", "<http", "(mailto", "<mailto"))
        return is_link or (open_link and _is_quoted(after))


def _is_quoted(line: str) -> bool:
    return line[:4].lstrip(" \t").startswith(">")


def _has_quote_block(lines: Sequence[str]) -> bool:
    """Three quoted lines in a row are a quotation even if nobody announces it; one may be an arrow or a prompt."""
    run = 0
    for line in lines:
        run = run + 1 if _is_quoted(line) else (run if not line.strip() else 0)
        if run >= 3:
            return True
    return False


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Without blank lines at both ends."""
    start, end = 0, len(lines)
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return list(lines[start:end])
