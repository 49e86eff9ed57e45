"""Where something was said to a page or profile: the one place that knows how thread keys are written.

``<ours>:<person>`` is a direct conversation, ``<ours>:comment:<id>`` the discussion below a comment, and likewise for
posts, mentions and reviews; ``<ours>:ref:<reference>`` is somebody who is only known by a reference of ours, and
``<ours>:account`` is what concerns nobody in particular.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from omnibus.errors import InvalidPayload

Where = Literal["direct", "comment", "post", "mention", "review", "ref", "account"]
KINDS: tuple[Where, ...] = ("comment", "post", "mention", "review", "ref")
PUBLIC: frozenset[Where] = frozenset({"comment", "post", "mention", "review"})
PUBLIC_THREADS = tuple(f":{kind}:" for kind in sorted(PUBLIC))
"""How threads look that everybody may read, and answer at any time."""
ACCOUNT = "account"
APP_ID = "app_id"
"""The attribute of a raw event that holds the id of our app: what it has sent is our own."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A page or profile of ours, and what is at the other end."""

    ours: str
    where: Where
    id: str = ""

    @property
    def thread(self) -> str:
        if self.where == "account":
            return f"{self.ours}:{ACCOUNT}"
        return f"{self.ours}:{self.id}" if self.where == "direct" else f"{self.ours}:{self.where}:{self.id}"


def place_of(thread: str) -> Place:
    """The place a thread key names. Raises InvalidPayload when it is none of these."""
    ours, _, rest = thread.partition(":")
    kind, separator, identifier = rest.partition(":")
    if not ours or not rest:
        raise InvalidPayload("conversation.thread_key", "expected a page or profile of ours, and a person or comment")
    for where in KINDS:
        if kind == where and separator:
            return Place(ours=ours, where=where, id=identifier)
    if rest == ACCOUNT:
        return Place(ours=ours, where="account")
    return Place(ours=ours, where="direct", id=rest)
