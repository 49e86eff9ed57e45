"""What Viber hears back from us: that we are there, and what welcomes somebody who opens the chat."""

from __future__ import annotations

import msgspec

from connectors._shared.reading import read
from connectors.viber.channel import ViberSettings, sender_of
from connectors.viber.payload import Callback
from omnibus.channel.receive import Answer, Request
from omnibus.errors import InvalidPayload


def challenge(request: Request, settings: ViberSettings) -> Answer | None:
    """Viber asks once whether we answer, when the webhook is set.

    https://developers.viber.com/docs/api/rest-bot-api/#set-webhook-callback
    """
    return Answer() if _event(request, b'"webhook"') == "webhook" else None


def answer(request: Request, settings: ViberSettings) -> Answer:
    """Somebody who opens the chat may be welcomed in the answer, subscribed or not.

    https://developers.viber.com/docs/api/rest-bot-api/#sending-a-welcome-message
    """
    if settings.welcome is None or _event(request, b'"conversation_started"') != "conversation_started":
        return Answer()
    welcome = {"sender": sender_of(settings), "type": "text", "text": settings.welcome}
    return Answer(body=msgspec.json.encode(welcome), content_type="application/json")


def _event(request: Request, mark: bytes) -> str | None:
    """The kind of a callback that may be one we look for; None when it is none, or garbage."""
    if mark not in request.body:
        return None
    try:
        return read(request.body, Callback).event
    except InvalidPayload:
        return None
