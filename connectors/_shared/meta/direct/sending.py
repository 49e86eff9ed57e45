"""Sends as a page or profile: direct messages, and answers below comments and posts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors._shared.files import part_of
from connectors._shared.meta.direct.limits import MAX_FILE_BYTES
from connectors._shared.meta.direct.place import PUBLIC, Place, place_of
from connectors._shared.meta.direct.plan import Piece
from connectors._shared.meta.graph import GraphApi
from connectors._shared.progress import Progress
from omnibus.blobs import BlobStore
from omnibus.channel.send import Sent
from omnibus.errors import InvalidPayload, Refused, TryAgain
from omnibus.http import Part
from omnibus.model.content import Attachment
from omnibus.model.events import Outbound


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The id of a direct message, of a comment, or of an uploaded file."""

    message_id: str | None = None
    id: str | None = None
    attachment_id: str | None = None


class MetaSending:
    """The common half of the senders of pages and profiles.

    `upload_to` is the path that takes files, and `upload_fields` what goes along with them.
    """

    def __init__(self, api: GraphApi, blobs: BlobStore, ours: str, upload_fields: Sequence[Part] = ()) -> None:
        self._api = api
        self._blobs = blobs
        self._ours = ours
        self._upload_fields = tuple(upload_fields)
        self._progress = Progress()

    def place(self, outbound: Outbound) -> Place:
        """Where the conversation is. Raises Refused when this account cannot write there."""
        try:
            place = place_of(outbound.conversation.thread_key)
        except InvalidPayload as error:
            raise Refused("RECIPIENT_NOT_REACHABLE", str(error)) from None
        if place.where == "account":
            raise Refused("RECIPIENT_NOT_REACHABLE", "this conversation is with the platform, and nobody is there")
        if place.ours != self._ours:
            raise Refused("CHANNEL_BAD_CONFIGURATION", f"the conversation is with {place.ours}; add an account for it")
        return place

    async def send(self, message_id: str, pieces: Sequence[Piece]) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        return Sent(native_ids=await self._progress.send(message_id, pieces, self._post))

    async def _post(self, piece: Piece) -> str:
        body = piece.body
        if piece.file is not None:
            attachment = body["message"]["attachment"]
            payload = {"attachment_id": await self._upload(piece.file, attachment["type"])}
            body = {**body, "message": {**body["message"], "attachment": {**attachment, "payload": payload}}}
        answer = await self._api.post(piece.path, body, _Answer)
        return _known(answer.message_id or answer.id)

    async def _upload(self, file: Attachment, kind: str) -> str:
        """https://developers.facebook.com/docs/messenger-platform/reference/attachment-upload-api"""
        message = {"attachment": {"type": kind, "payload": {"is_reusable": True}}}
        parts = (
            *self._upload_fields,
            Part(name="message", value=msgspec.json.encode(message)),
            await part_of(self._blobs, "filedata", file, MAX_FILE_BYTES),
        )
        answer = await self._api.upload(f"{self._ours}/message_attachments", parts, _Answer)
        return _known(answer.attachment_id)


def is_public(place: Place) -> bool:
    return place.where in PUBLIC


def _known(identifier: str | None) -> str:
    if not identifier:
        raise TryAgain("Meta answered without the id of what it took")
    return identifier
