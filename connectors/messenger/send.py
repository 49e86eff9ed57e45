"""Sends as a page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from connectors._shared.files import named, reference
from connectors._shared.meta.direct.errors import SEND_API
from connectors._shared.meta.direct.limits import MAX_FILE_BYTES
from connectors._shared.meta.direct.mapping import METADATA
from connectors._shared.meta.direct.place import Place
from connectors._shared.meta.direct.plan import Piece, direct_pieces, tag_of
from connectors._shared.meta.direct.sending import MetaSending, is_public
from connectors._shared.meta.graph import GraphApi
from connectors._shared.words import plain
from connectors.messenger.channel import API_URL, MAX_TEXT, MessengerSettings
from omnibus.channel.send import SenderTools, Sent, split_text
from omnibus.errors import Refused
from omnibus.model import content as model
from omnibus.model.content import Attachment
from omnibus.model.entities import Message
from omnibus.model.events import Outbound

MAX_COMMENT = 8_000

split = partial(split_text, limit=MAX_TEXT)


class MessengerSender:
    """Direct messages in Messenger; below comments, posts, mentions and reviews the answer is public."""

    def __init__(self, tools: SenderTools) -> None:
        settings: MessengerSettings = tools.account.settings
        api = GraphApi(
            tools.http,
            url=settings.api_url,
            version=settings.api_version,
            access_token=settings.access_token,
            meaning=SEND_API,
            allow_private=settings.api_url != API_URL,
            proof_secret=settings.app_secret if settings.app_secret_proof else None,
        )
        self._sending = MetaSending(api, tools.blobs, settings.page_id)

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        place = self._sending.place(outbound)
        message = outbound.message
        pieces = comment_pieces(message, place) if is_public(place) else message_pieces(message, place)
        return await self._sending.send(message.id, pieces)

    async def close(self) -> None:
        """Nothing is held."""


def message_pieces(message: Message, place: Place) -> Sequence[Piece]:
    """Direct messages, marked as ours, so that their echoes are known."""
    pieces = direct_pieces(message, place, split, {"messaging_type": "RESPONSE"})
    mark = f"{METADATA}{message.id}"
    return [_marked(piece, mark) for piece in pieces]


def _marked(piece: Piece, mark: str) -> Piece:
    body = {**piece.body, "message": {**piece.body["message"], "metadata": mark}}
    return Piece(path=piece.path, body=body, file=piece.file)


def comment_pieces(message: Message, place: Place) -> Sequence[Piece]:
    """An answer below what was written, https://developers.facebook.com/docs/graph-api/reference/object/comments"""
    answered = message.in_reply_to.native_id if message.in_reply_to else None
    text, url = _comment(message)
    body = {**({"message": text} if text else {}), **({"attachment_url": url} if url else {})}
    if not body:
        raise Refused("UNSUPPORTED_OPERATION", "the message has neither words nor files")
    return [Piece(path=f"{_id_in_path(answered or place.id)}/comments", body=body)]


def _comment(message: Message) -> tuple[str, str | None]:
    """The words, and the picture they are about. Raises Refused for what a comment cannot be."""
    match message.content:
        case model.Text():
            text, shown = plain(message.content), next(iter(message.attachments), None)
        case model.Image():
            text, shown = message.content.caption or "", named(message, message.content.attachment_id)
        case _:
            raise Refused("UNSUPPORTED_OPERATION", f"a comment cannot be {tag_of(message.content)!r}")
    if len(text) > MAX_COMMENT:
        raise Refused("UNSUPPORTED_OPERATION", f"a comment has at most {MAX_COMMENT} characters")
    if len(message.attachments) > 1:
        raise Refused("UNSUPPORTED_OPERATION", "a comment has one picture at most")
    return text.strip(), None if shown is None else _picture(shown)


def _picture(attachment: Attachment) -> str:
    ref = reference(attachment, MAX_FILE_BYTES)
    if ref.scheme != "url" or not attachment.mime.startswith("image/"):
        raise Refused("MEDIA_TYPE_UNSUPPORTED", "a comment takes a picture that has an address of its own")
    return ref.uri


def _id_in_path(native_id: str) -> str:
    """Ids are digits and underscores; anything else would lead elsewhere."""
    if not native_id.replace("_", "").isalnum():
        raise Refused("RECIPIENT_NOT_REACHABLE", "not the id of a comment or post")
    return native_id
