"""Sends messages as the bot."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from connectors.telegram.api import BotApi, ChatMoved
from connectors.telegram.channel import TelegramSettings
from connectors.telegram.place import Place, place_of
from connectors.telegram.plan import MAX_FILE_BYTES, Call, calls_for
from omnibus.blobs import BlobMissing, BlobStore
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import InvalidPayload, Refused, TryAgain
from omnibus.http import Part
from omnibus.model.content import Attachment
from omnibus.model.events import Outbound

REMEMBERED = 1_000
"""Messages sent in part that we keep in mind; beyond it the oldest would begin again."""


class _Result(msgspec.Struct, frozen=True):
    message_id: int


class _Me(msgspec.Struct, frozen=True):
    username: str


class TelegramSender:
    """Sends for one bot.

    Telegram knows no idempotency key: a message whose answer was lost is sent again. Of a message in several pieces
    only the missing ones are sent again, as long as this process lives.
    """

    def __init__(self, tools: SenderTools) -> None:
        settings: TelegramSettings = tools.account.settings
        self._api = BotApi(tools.http, settings)
        self._blobs = tools.blobs
        self._begun: OrderedDict[str, list[str]] = OrderedDict()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        place = _place(outbound)
        try:
            native_ids = await self._say(outbound, place)
        except ChatMoved as moved:
            native_ids = await self._say(outbound, place.moved_to(moved.chat_id))
        return Sent(native_ids=tuple(native_ids))

    async def probe(self) -> str:
        """The bot's name. https://core.telegram.org/bots/api#getme"""
        result = await self._api.call("getMe")
        try:
            return f"@{msgspec.json.decode(result, type=_Me).username}"
        except msgspec.DecodeError:
            raise TryAgain("Telegram answered with something that is no bot") from None

    async def close(self) -> None:
        return None

    async def _say(self, outbound: Outbound, place: Place) -> list[str]:
        """All pieces that have not been sent yet; what is final for one of them is final for the message."""
        message = outbound.message
        calls = calls_for(message, place)
        done = self._begun.pop(message.id, [])
        try:
            for call in calls[len(done) :]:
                done.append(place.native_id(await self._call(call)))
        except BaseException:
            if done:
                self._remember(message.id, done)
            raise
        return done

    def _remember(self, message_id: str, done: list[str]) -> None:
        self._begun[message_id] = done
        while len(self._begun) > REMEMBERED:
            self._begun.popitem(last=False)

    async def _call(self, call: Call) -> int:
        files = () if call.file is None or call.field is None else (await _part(self._blobs, call.field, call.file),)
        result = await self._api.call(call.method, call.params, files=files)
        try:
            return msgspec.json.decode(result, type=_Result).message_id
        except msgspec.DecodeError:
            raise TryAgain("Telegram answered with something that is no message") from None


def _place(outbound: Outbound) -> Place:
    try:
        return place_of(outbound.conversation.thread_key)
    except InvalidPayload as error:
        raise Refused("RECIPIENT_NOT_REACHABLE", str(error)) from None


async def _part(blobs: BlobStore, field: str, attachment: Attachment) -> Part:
    """The file as a form field. Its size is counted, whatever the attachment says."""
    ref = attachment.ref
    data = bytearray()
    try:
        async for chunk in blobs.open(ref.uri if ref else ""):
            data += chunk
            if len(data) > MAX_FILE_BYTES:
                raise Refused("MEDIA_TOO_LARGE", f"Telegram takes files of at most {MAX_FILE_BYTES} bytes")
    except BlobMissing as missing:
        raise Refused("MEDIA_NOT_REACHABLE", str(missing)) from None
    return Part(name=field, value=bytes(data), file_name=_file_name(attachment) or field, content_type=attachment.mime)


def _file_name(attachment: Attachment) -> str:
    """A name that fits into a header, whatever somebody called the file."""
    return "".join("_" if sign in '"\\/' or not sign.isprintable() else sign for sign in attachment.file_name or "")
