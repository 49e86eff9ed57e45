"""Who did something. User ids are those of a workspace, which vouches for them."""

from __future__ import annotations

from connectors.slack.place import WORKSPACE
from omnibus.channel.events import Party


def user_party(user: str, name: str | None = None, *, username: str | None = None, is_bot: bool = False) -> Party:
    return Party(
        scheme="slack_user",
        value=user,
        display_name=name or None,
        username=username or None,
        verified="channel",
        is_bot=is_bot,
    )


def bot_party(bot: str, name: str | None) -> Party:
    """A bot that has no user: an incoming webhook, an old integration."""
    return Party(scheme="slack_bot", value=bot, display_name=name or None, verified="channel", is_bot=True)


def workspace_party(team: str | None) -> Party:
    return Party(scheme="slack_team", value=team or WORKSPACE, is_bot=True)
