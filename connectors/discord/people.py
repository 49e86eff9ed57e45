"""Who did something. User ids are the same on all of Discord, which vouches for them."""

from __future__ import annotations

from connectors.discord.payload import Member, User
from omnibus.channel.events import Party


def party(user: User, member: Member | None = None, locale: str | None = None) -> Party:
    """The name somebody has on this server, else their own."""
    nick = member.nick if member else None
    return Party(
        scheme="discord_user",
        value=user.id,
        display_name=nick or user.global_name or user.username or None,
        username=user.username or None,
        locale=locale or None,
        verified="channel",
        is_bot=user.bot,
    )


def nobody(channel: str) -> Party:
    """For what a channel tells without saying who."""
    return Party(scheme="discord_channel", value=channel, is_bot=True)
