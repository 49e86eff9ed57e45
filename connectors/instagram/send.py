"""Sends as a profile."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from connectors._shared.meta.direct.errors import SEND_API
from connectors._shared.meta.direct.place import Place
from connectors._shared.meta.direct.plan import Piece, direct_pieces, split_by_bytes, tag_of
from connectors._shared.meta.direct.sending import MetaSending, is_public
from connectors._shared.meta.graph import GraphApi
from connectors._shared.words import plain
from connectors.instagram.channel import API_URL, FACEBOOK_URL, MAX_TEXT_BYTES, InstagramSettings
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import Refused
from omnibus.http import Part
from omnibus.model import content as model
from omnibus.model.entities import Message
from omnibus.model.events import Outbound

MAX_COMMENT = 2_200

split = partial(split_by_bytes, limit=MAX_TEXT_BYTES)


class InstagramSender:
    """Direct messages; below comments and mentions the answer is public."""

    def __init__(self, tools: SenderTools) -> None:
        settings: InstagramSettings = tools.account.settings
        api = GraphApi(
            tools.http,
            url=settings.api_url,
            version=settings.api_version,
            access_token=settings.access_token,
            meaning=SEND_API,
            allow_private=settings.api_url not in (API_URL, FACEBOOK_URL),
        )
        self._sending = MetaSending(api, tools.blobs, settings.account_id, (Part(name="platform", value=b"instagram"),))

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        place = self._sending.place(outbound)
        message = outbound.message
        pieces = comment_pieces(message, place) if is_public(place) else direct_pieces(message, place, split, {})
        return await self._sending.send(message.id, pieces)

    async def close(self) -> None:
        """Nothing is held."""


def comment_pieces(message: Message, place: Place) -> Sequence[Piece]:
    """An answer below a comment, or to a mention; comments are words only.

    https://developers.facebook.com/docs/instagram-platform/comment-moderation
    https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-user/mentions
    """
    if not isinstance(message.content, model.Text) or message.attachments:
        raise Refused("UNSUPPORTED_OPERATION", f"a comment has words only, and cannot be {tag_of(message.content)!r}")
    text = plain(message.content).strip()
    if not text:
        raise Refused("UNSUPPORTED_OPERATION", "a comment needs words")
    if len(text) > MAX_COMMENT:
        raise Refused("UNSUPPORTED_OPERATION", f"a comment has at most {MAX_COMMENT} characters")
    if not place.id.replace("_", "").isalnum():
        raise Refused("RECIPIENT_NOT_REACHABLE", "not the id of a comment or post")
    if place.where == "mention":
        return [Piece(path=f"{place.ours}/mentions", body={**_mentioned(place.id), "message": text})]
    # Instagram has answers of the first level only: those to an answer go below the same comment.
    return [Piece(path=f"{place.id}/replies", body={"message": text})]


def _mentioned(identifier: str) -> dict[str, str]:
    media, _, comment = identifier.partition("_")
    return {"media_id": media, **({"comment_id": comment} if comment else {})}
