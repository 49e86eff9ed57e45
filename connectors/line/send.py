"""Sends messages as the official account: a reply while its token counts, which is free, otherwise a push."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from connectors._shared.files import files_of
from connectors._shared.links.links import Links
from connectors._shared.progress import Progress
from connectors.line.api import MessagingApi
from connectors.line.channel import MAX_FILE_BYTES, LineSettings
from connectors.line.errors import TokenUsed
from connectors.line.mapping import NOWHERE, QUOTE_TOKEN, REPLY_TOKEN
from connectors.line.plan import MOST_IN_ONE_CALL, MessageObject, objects_for
from omnibus import clock
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import Refused
from omnibus.model.events import Outbound


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that go together. `retry_key` is the same when they are sent again: LINE then takes them once."""

    to: str
    messages: Sequence[MessageObject]
    retry_key: str
    reply_token: str | None = None


class _Info(msgspec.Struct, frozen=True, rename="camel"):
    display_name: str = ""
    basic_id: str = ""


class LineSender:
    """Sends for one account.

    A push that is repeated is taken once, as LINE knows retry keys; a reply whose answer was lost is pushed as well.
    """

    def __init__(self, tools: SenderTools) -> None:
        self._settings: LineSettings = tools.account.settings
        self._api = MessagingApi(tools.http, self._settings)
        self._links = Links(tools.account, tools.blobs, self._settings.app_secret)
        self._progress = Progress()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, Misconfigured."""
        message = outbound.message
        urls = {one.id: await self._links.url_of(one, MAX_FILE_BYTES) for one in files_of(message)}
        objects = objects_for(message, urls, _quote_token(outbound))
        calls = _calls(outbound, objects, self._reply_token(outbound))
        return Sent(native_ids=await self._progress.send(message.id, calls, self._take))

    async def probe(self) -> str:
        """The account's name. https://developers.line.biz/en/reference/messaging-api/#get-bot-info"""
        info = await self._api.info("/v2/bot/info", _Info)
        return f"{info.display_name} ({info.basic_id})"

    async def close(self) -> None:
        return None

    async def _take(self, call: _Call) -> Sequence[str]:
        if call.reply_token is not None:
            try:
                return await self._api.reply(call.reply_token, call.messages)
            except TokenUsed:
                pass
        return await self._api.push(call.to, call.messages, call.retry_key)

    def _reply_token(self, outbound: Outbound) -> str | None:
        """The token of what the contact wrote last, while it counts.

        https://developers.line.biz/en/reference/messaging-api/#send-reply-message-reply-token
        """
        after = outbound.after
        token = None if after is None else after.attributes.get(REPLY_TOKEN)
        if after is None or not isinstance(token, str):
            return None
        return token if clock.now() - after.received_at < self._settings.reply_within else None


def _quote_token(outbound: Outbound) -> str | None:
    """LINE quotes by a token that came with the message: we have that of the last one."""
    after, answered = outbound.after, outbound.message.in_reply_to
    if after is None or answered is None or after.native.message_id != answered.native_id:
        return None
    token = after.attributes.get(QUOTE_TOKEN)
    return token if isinstance(token, str) else None


def _calls(outbound: Outbound, objects: Sequence[MessageObject], reply_token: str | None) -> Sequence[_Call]:
    to = outbound.conversation.thread_key
    if to == NOWHERE:
        raise Refused("RECIPIENT_NOT_REACHABLE", "this conversation belongs to no chat")
    return [
        _Call(
            to=to,
            messages=objects[start : start + MOST_IN_ONE_CALL],
            retry_key=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{outbound.message.id}/{start}")),
            reply_token=reply_token if start == 0 else None,
        )
        for start in range(0, len(objects), MOST_IN_ONE_CALL)
    ]
