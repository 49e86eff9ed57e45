"""What a trusted mail server found out about the sender: SPF, DKIM and DMARC from `Authentication-Results` (RFC 8601).

Anybody can write such a field. One counts only when it names a server the operator trusts, and only the topmost of
that name: servers put theirs on top, and are to take out forged ones of their own name (section 5).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from connectors.email.mail import Mail

_MAX = 5_000
_COMMENT = re.compile(r"\([^()]*\)")
_RESULT = re.compile(r"^\s*(spf|dkim|dmarc)\s{0,5}=\s{0,5}([a-z]{1,20})\b", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?:header\.d|header\.i|smtp\.mailfrom|smtp\.helo)\s{0,5}=\s{0,5}\"?(?:[^\s@;]{0,64}@)?([a-z0-9.-]{1,255})"
)


@dataclass(frozen=True)
class Authentication:
    """The results by method (`pass`, `fail`, `none` ...), and whether one of them speaks for the From address."""

    results: dict[str, str]
    is_aligned: bool

    def __str__(self) -> str:
        return " ".join(f"{method}={result}" for method, result in sorted(self.results.items()))


def authentication(mail: Mail, trusted: Collection[str]) -> Authentication | None:
    """The verdict of the first trusted server; None when none of them says anything."""
    for value in mail.headers.every_raw("authentication-results"):
        server, _, rest = _COMMENT.sub(" ", value[:_MAX]).partition(";")
        if (server.split() or [""])[0].lower() in trusted:
            return _read(rest, mail.sender.domain if mail.sender is not None else "")
    return None


def _read(text: str, domain: str) -> Authentication:
    results: dict[str, str] = {}
    is_aligned = False
    for clause in text.lower().split(";"):
        found = _RESULT.match(clause)
        if found is None:
            continue
        method, result = found.groups()
        if results.get(method) != "pass":
            results[method] = result
        named = _DOMAIN.search(clause)
        # DMARC compares with the From address itself (RFC 7489 section 3.1); for the others we do.
        is_aligned |= result == "pass" and (
            method == "dmarc" or (named is not None and _is_same(named.group(1), domain))
        )
    return Authentication(results, is_aligned and results.get("dmarc", "pass") == "pass")


def _is_same(one: str, other: str) -> bool:
    """Equal, or one below the other: relaxed alignment without a list of public suffixes, so two labels at least."""
    short, long = sorted((one.strip("."), other.strip(".")), key=len)
    return "." in short and (long == short or long.endswith(f".{short}"))
