"""Sends direct messages, and answers below posts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors._shared.progress import Progress
from connectors.x.api import XApi
from connectors.x.plan import Piece, Place, pieces_for, place_of
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
        place = place_of(outbound)
        pieces = pieces_for(outbound.message, place)
        return Sent(native_ids=tuple(await self._send_all(outbound.message.id, pieces, place)))

    async def probe(self) -> str:
        """The account's name. https://docs.x.com/x-api/users/get-my-user"""
        me = await self._api.call("GET", "/2/users/me", _Me)
        if me.id != self._settings.user_id:
            raise Misconfigured("user_id", "the token is of another account")
        return f"@{me.username}"

    async def close(self) -> None:
        """Nothing is held open."""

    async def _send_all(self, message_id: str, pieces: Sequence[Piece], place: Place) -> Sequence[str]:
        """The pieces that have not been sent yet; what is final for one of them is final for the message."""
        with self._progress.of(message_id) as done:
            for piece in pieces[len(done) :]:
                if place.post_id is None:
                    sent = await self._write(piece, place.user_id)
                else:
                    sent = await self._post(piece, done[-1][0] if done else place.post_id)
                done.append((sent,))
        return [native_id for (native_id,) in done]

    async def _write(self, piece: Piece, user_id: str) -> str:
        """https://docs.x.com/x-api/direct-messages/create-dm-message-by-participant-id"""
        files = [{"media_id": await self._uploads.upload(file, public=False)} for file in piece.files]
        body = _without_empty({"text": piece.text, "attachments": files})
        path = f"/2/dm_conversations/with/{user_id}/messages"
        return (await self._api.call("POST", path, _SentMessage, json=body)).dm_event_id

    async def _post(self, piece: Piece, below: str) -> str:
        """Each post of a row answers the one before, so they are read in order.

        https://docs.x.com/x-api/posts/create-post
        """
        files = [await self._uploads.upload(file, public=True) for file in piece.files]
        body = _without_empty({"text": piece.text, "media": {"media_ids": files} if files else None})
        answered = {"reply": {"in_reply_to_tweet_id": below}}
        return (await self._api.call("POST", "/2/tweets", _SentPost, json={**body, **answered})).id


def _without_empty(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value}
