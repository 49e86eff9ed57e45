"""What an interaction is answered with; whoever used it waits for that, at most three seconds.

https://docs.discord.com/developers/interactions/receiving-and-responding#responding-to-an-interaction
"""

from __future__ import annotations

from typing import Any

from connectors._shared.reading import Foreign, read
from connectors.discord.interactions import AUTOCOMPLETE, COMPONENT, FORM, PING
from omnibus.errors import InvalidPayload

PONG, MESSAGE, UPDATE_LATER, SUGGESTIONS = 1, 4, 6, 8
"""https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-response-object-interaction-callback-type"""
EPHEMERAL = 1 << 6
"""Shown to the one who asked, and to nobody else."""


class Asked(Foreign, frozen=True, kw_only=True):
    type: int
    message: dict[str, Any] | None = None


def answer_to(interaction: bytes, words: str) -> dict[str, Any]:
    """The answer to an interaction; `words` are for those that show nothing by themselves. Garbage gets words, too."""
    asked = asked_of(interaction)
    if asked.type == PING:
        return {"type": PONG}
    if asked.type == AUTOCOMPLETE:
        return {"type": SUGGESTIONS, "data": {"choices": []}}
    if asked.type == COMPONENT or (asked.type == FORM and asked.message is not None):
        return {"type": UPDATE_LATER}
    return {"type": MESSAGE, "data": {"content": words, "flags": EPHEMERAL}}


def asked_of(interaction: bytes) -> Asked:
    """What an interaction is; type 0 for what is none."""
    try:
        return read(interaction, Asked)
    except InvalidPayload:
        return Asked(type=0)
