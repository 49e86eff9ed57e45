"""The process's memory of its secrets, so that nothing printed, logged or raised shows one."""

from __future__ import annotations

from urllib.parse import quote

MASK = "***"
MIN_LENGTH = 5
"""Shorter secrets are masked by their key only: replacing "on" everywhere would make every line unreadable."""
_MAX_KNOWN = 4096

_known: dict[str, None] = {}


def remember(secret: str) -> None:
    """Mask this value wherever text passes through `masked`; the oldest are forgotten beyond 4,096."""
    if len(secret) < MIN_LENGTH:
        return
    for form in (secret, quote(secret, safe=""), quote(secret)):
        _known.pop(form, None)
        _known[form] = None
    while len(_known) > _MAX_KNOWN:
        del _known[next(iter(_known))]


def masked(text: str) -> str:
    """The text with every remembered secret replaced by ``***``."""
    # The longest first: one secret may contain another. A copy: another thread may remember one meanwhile.
    for secret in sorted((known for known in tuple(_known) if known in text), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
