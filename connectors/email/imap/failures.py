"""How an IMAP connection fails, by what happens next."""

from __future__ import annotations

import re

from omnibus.errors import OmnibusError, TryAgain

# RFC 5530: passing faults, although the login was refused.
_PASSING = frozenset({"UNAVAILABLE", "LIMIT", "INUSE", "SERVERBUG", "ALERT", "CONTACTADMIN"})


class Lost(TryAgain):
    """The connection ended, or the server went silent: connect again."""


class Declined(OmnibusError):
    """The server answered NO or BAD to a command; the connection goes on. `code` is its response code, '' without."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        found = re.search(r"\[([A-Z-]+)", words)
        self.code = found.group(1) if found else ""

    @property
    def will_pass(self) -> bool:
        """Whether the server says that it is its own fault, and passing."""
        return self.code in _PASSING


class LoginRefused(OmnibusError):
    """The server does not know us. With a token, a fresh one may help."""
