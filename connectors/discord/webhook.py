"""What Discord hears back from its interactions webhook."""

from __future__ import annotations

import msgspec

from connectors.discord.answers import answer_to, asked_of
from connectors.discord.channel import DiscordSettings
from connectors.discord.interactions import AUTOCOMPLETE, PING
from omnibus.channel.receive import Answer, Request


def challenge(request: Request, settings: DiscordSettings) -> Answer | None:
    """Discord asks now and then whether we verify; what somebody is still typing is nothing to keep.

    https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint
    """
    return answer(request, settings) if asked_of(request.body).type in (PING, AUTOCOMPLETE) else None


def answer(request: Request, settings: DiscordSettings) -> Answer:
    told = answer_to(request.body, settings.command_answer)
    return Answer(body=msgspec.json.encode(told), content_type="application/json")
