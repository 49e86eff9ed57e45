"""Sends direct messages, and answers below posts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from connectors._shared.chat.progress import Progress
from connectors.x.api import XApi
from connectors.x.plan import Piece, pieces_for, place_of
from connectors.x.settings import XSettings
from connectors.x.upload import Uploads
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import Misconfigured
from omnibus.model.events import Outbound


class _SentMessage(msgspec.Struct, frozen=True):
    dm_event_id: str


class _SentPost(msgspec.Struct, frozen=True):
    id: str


class _Me(msgspec.Struct, frozen=True):
    id: str
    username: str


class XSender:
    """Sends for one account.

    X knows no idempotency key: a message whose answer was lost is sent again (a post is then refused as a duplicate).
    Of a message in several pieces only the missing ones are sent again, as long as this process lives.
    """

    def __init__(self, tools: SenderTools) -> None:
        self._settings: XSettings = tools.account.settings
        self._api = XApi(tools.http, self._settings)
        self._uploads = Uploads(self._api, tools.blobs)
        self._progress = Progress()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, Misconfigured."""
        place, message_id = place_of(outbound), outbound.message.id
        pieces = pieces_for(outbound.message, place)
        if place.post_id is None:
            return Sent(native_ids=await self._progress.send(message_id, pieces, self._message_to(place.user_id)))
        last = (place.post_id, *self._progress.begun(message_id))[-1]
        return Sent(native_ids=await self._progress.send(message_id, pieces, self._posts_below(last)))

    async def probe(self) -> str:
        """The account's name. https://docs.x.com/x-api/users/get-my-user"""
        me = await self._api.call("GET", "/2/users/me", _Me)
        if me.id != self._settings.user_id:
            raise Misconfigured("user_id", "the token is of another account")
        return f"@{me.username}"

    async def close(self) -> None:
        """Nothing is held open."""

    def _message_to(self, user_id: str) -> Callable[[Piece], Awaitable[Sequence[str]]]:
        """https://docs.x.com/x-api/direct-messages/create-dm-message-by-participant-id"""

        async def send(piece: Piece) -> Sequence[str]:
            files = [{"media_id": await self._uploads.upload(file, public=False)} for file in piece.files]
            body = _without_empty({"text": piece.text, "attachments": files})
            path = f"/2/dm_conversations/with/{user_id}/messages"
            return ((await self._api.call("POST", path, _SentMessage, json=body)).dm_event_id,)

        return send

    def _posts_below(self, post_id: str) -> Callable[[Piece], Awaitable[Sequence[str]]]:
        """Each post answers the one before: so they are read in order. https://docs.x.com/x-api/posts/create-post"""
        last = post_id

        async def send(piece: Piece) -> Sequence[str]:
            nonlocal last
            files = [await self._uploads.upload(file, public=True) for file in piece.files]
            body = _without_empty({"text": piece.text, "media": {"media_ids": files} if files else None})
            answered = {"reply": {"in_reply_to_tweet_id": last}}
            last = (await self._api.call("POST", "/2/tweets", _SentPost, json={**body, **answered})).id
            return (last,)

        return send


def _without_empty(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value}
