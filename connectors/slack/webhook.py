"""What Slack's requests are before anything maps them: a handshake, and which workspace they come from."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors._shared.bodies import looks_like_json
from connectors._shared.reading import read
from connectors.slack.channel import SlackSettings
from connectors.slack.interactions import team_of_form
from connectors.slack.payload import Envelope
from omnibus.channel.receive import Answer, Request
from omnibus.errors import InvalidPayload


class _Challenge(msgspec.Struct, frozen=True):
    type: str
    challenge: str


def challenge(request: Request, settings: SlackSettings) -> Answer | None:
    """Slack asks once, and signs that too. https://docs.slack.dev/reference/events/url_verification"""
    if b"url_verification" not in request.body:
        return None
    try:
        asked = read(request.body, _Challenge)
    except InvalidPayload:
        return None
    return Answer(body=asked.challenge.encode("utf-8", "replace")) if asked.type == "url_verification" else None


def teams(request: Request) -> Sequence[str]:
    """The workspace a request comes from: an app has one address for all of them."""
    try:
        form = not looks_like_json(request.body)
        team = team_of_form(request.body) if form else read(request.body, Envelope).team_id
    except InvalidPayload:
        return ()
    return (team,) if team else ()
