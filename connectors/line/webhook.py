"""What LINE asks before it has anything to tell."""

from __future__ import annotations

from connectors._shared.reading import read
from connectors.line.channel import LineSettings
from connectors.line.payload import Callback
from omnibus.channel.receive import Answer, Request
from omnibus.errors import InvalidPayload


def challenge(request: Request, settings: LineSettings) -> Answer | None:
    """The console's Verify button sends a request without events, to see whether we answer.

    https://developers.line.biz/en/reference/messaging-api/#request-body
    """
    if len(request.body) > 200:
        return None
    try:
        empty = not read(request.body, Callback).events
    except InvalidPayload:
        return None
    return Answer() if empty else None
