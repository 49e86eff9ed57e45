"""Sends messages as the bot."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors._shared.files import bytes_of, mime_of, safe_name
from connectors._shared.progress import Progress
from connectors.discord.api import RestApi
from connectors.discord.channel import MAX_FILE_BYTES, DiscordSettings
from connectors.discord.plan import Post, posts_for
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import Refused
from omnibus.http import Part
from omnibus.model.content import Attachment
from omnibus.model.events import Outbound


class _Posted(msgspec.Struct, frozen=True):
    id: str


class _Me(msgspec.Struct, frozen=True):
    username: str


class DiscordSender:
    """Sends for one bot.

    A post that is repeated within some minutes is taken once, by its nonce; what has left already is remembered for as
    long as this process lives.
    """

    def __init__(self, tools: SenderTools) -> None:
        settings: DiscordSettings = tools.account.settings
        self._api = RestApi(tools.http, settings)
        self._blobs = tools.blobs
        self._progress = Progress()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        channel = outbound.conversation.thread_key
        if not (channel.isascii() and channel.isdigit()):
            raise Refused("RECIPIENT_NOT_REACHABLE", "expected a Discord channel")

        async def take(post: Post) -> Sequence[str]:
            return await self._post(channel, post)

        posts = posts_for(outbound.message)
        return Sent(native_ids=await self._progress.send(outbound.message.id, posts, take))

    async def probe(self) -> str:
        """The bot's name. https://docs.discord.com/developers/resources/user#get-current-user"""
        return (await self._api.get("/users/@me", _Me)).username

    async def close(self) -> None:
        return None

    async def _post(self, channel: str, post: Post) -> Sequence[str]:
        parts = [await self._part(number, file) for number, file in enumerate(post.files)]
        posted = await self._api.post(f"/channels/{channel}/messages", post.params, _Posted, parts)
        return (posted.id,)

    async def _part(self, number: int, file: Attachment) -> Part:
        data = await bytes_of(self._blobs, file, MAX_FILE_BYTES)
        return Part(name=f"files[{number}]", value=data, file_name=safe_name(file), content_type=mime_of(file))
