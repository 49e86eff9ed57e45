"""Sends messages as the bot."""

from __future__ import annotations

import msgspec

from connectors._shared.files import part_of
from connectors._shared.progress import Progress
from connectors.telegram.api import BotApi, ChatMoved
from connectors.telegram.channel import TelegramSettings
from connectors.telegram.place import Place, place_of
from connectors.telegram.plan import MAX_FILE_BYTES, Call, calls_for
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import InvalidPayload, Refused, TryAgain
from omnibus.model.events import Outbound


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
        self._progress = Progress()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        place = _place(outbound)
        try:
            native_ids = await self._say(outbound, place)
        except ChatMoved as moved:
            native_ids = await self._say(outbound, place.moved_to(moved.chat_id))
        return Sent(native_ids=native_ids)

    async def probe(self) -> str:
        """The bot's name. https://core.telegram.org/bots/api#getme"""
        result = await self._api.call("getMe")
        try:
            return f"@{msgspec.json.decode(result, type=_Me).username}"
        except msgspec.DecodeError:
            raise TryAgain("Telegram answered with something that is no bot") from None

    async def close(self) -> None:
        return None

    async def _say(self, outbound: Outbound, place: Place) -> tuple[str, ...]:
        """All pieces that have not been sent yet; what is final for one of them is final for the message."""
        calls = calls_for(outbound.message, place)

        async def take(call: Call) -> str:
            return place.native_id(await self._call(call))

        return await self._progress.send(outbound.message.id, calls, take)

    async def _call(self, call: Call) -> int:
        files = []
        if call.file is not None and call.field is not None:
            files.append(await part_of(self._blobs, call.field, call.file, MAX_FILE_BYTES))
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
