"""Sends messages from one of our numbers."""

from __future__ import annotations

import msgspec

from connectors._shared.files import mime_of, part_of
from connectors._shared.progress import Progress
from connectors.whatsapp_cloud.api import api_of
from connectors.whatsapp_cloud.channel import WhatsAppSettings
from connectors.whatsapp_cloud.place import Place, place_of
from connectors.whatsapp_cloud.plan import MAX_FILE_BYTES, Piece, pieces_of
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import InvalidPayload, Refused
from omnibus.http import Part
from omnibus.model.content import Attachment
from omnibus.model.events import Outbound


class _Id(msgspec.Struct, frozen=True):
    id: str


class _Sent(msgspec.Struct, frozen=True):
    messages: tuple[_Id, ...]


class WhatsAppSender:
    """Sends from the number the conversation is with, so that answers come from whom was written to."""

    def __init__(self, tools: SenderTools) -> None:
        self._settings: WhatsAppSettings = tools.account.settings
        self._api = api_of(tools.http, self._settings)
        self._blobs = tools.blobs
        self._progress = Progress()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        place = _place(outbound)
        pieces = pieces_of(outbound.message, place, self._settings.list_button)
        ids = await self._progress.send(outbound.message.id, pieces, lambda piece: self._post(place, piece))
        return Sent(native_ids=ids)

    async def close(self) -> None:
        """Nothing is held."""

    async def _post(self, place: Place, piece: Piece) -> str:
        body = piece.body
        if piece.file is not None:
            media = {**body[piece.kind], "id": await self._upload(place, piece.file)}
            body = {**body, piece.kind: media}
        answer = await self._api.post(f"{place.number}/messages", body, _Sent)
        if not answer.messages:
            raise Refused("CHANNEL_FAILURE", "WhatsApp took the message and named none")
        return answer.messages[0].id

    async def _upload(self, place: Place, file: Attachment) -> str:
        """https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media"""
        parts = (
            Part(name="messaging_product", value=b"whatsapp"),
            Part(name="type", value=mime_of(file).encode()),
            await part_of(self._blobs, "file", file, MAX_FILE_BYTES),
        )
        return (await self._api.upload(f"{place.number}/media", parts, _Id)).id


def _place(outbound: Outbound) -> Place:
    try:
        place = place_of(outbound.conversation.thread_key)
    except InvalidPayload as error:
        raise Refused("RECIPIENT_NOT_REACHABLE", str(error)) from None
    if not place.number.isdecimal():
        raise Refused("RECIPIENT_NOT_REACHABLE", "the conversation is with none of our numbers")
    return place
