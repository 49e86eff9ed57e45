"""Sends messages as the bot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from connectors._shared.files import files_of
from connectors._shared.links.links import Links
from connectors._shared.progress import Progress
from connectors.viber.channel import API_URL, MAX_FILE_BYTES, ViberSettings, sender_of
from connectors.viber.errors import raise_failure
from connectors.viber.mapping import NOWHERE
from connectors.viber.plan import Params, calls_for
from omnibus.channel.send import SenderTools, Sent
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.http import Response, expect_ok
from omnibus.model.events import Outbound

A = TypeVar("A", bound="_Answer")


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    status: int


class _Sent(_Answer, frozen=True, kw_only=True):
    """https://developers.viber.com/docs/api/rest-bot-api/#response"""

    message_token: int | str = ""


class _Account(_Answer, frozen=True, kw_only=True):
    """https://developers.viber.com/docs/api/rest-bot-api/#get-account-info"""

    name: str = ""


class ViberSender:
    """Sends for one bot.

    Viber knows no idempotency key: a message whose answer was lost is sent again. Of a message in several pieces only
    the missing ones are sent again, as long as this process lives.
    """

    def __init__(self, tools: SenderTools) -> None:
        self._settings: ViberSettings = tools.account.settings
        self._http = tools.http
        self._links = Links(tools.account, tools.blobs, self._settings.bot_token)
        self._progress = Progress()

    async def send(self, outbound: Outbound) -> Sent:
        """Raises TryAgain, Refused, RecipientGone, Misconfigured."""
        message, receiver = outbound.message, outbound.conversation.thread_key
        if receiver == NOWHERE:
            raise Refused("RECIPIENT_NOT_REACHABLE", "this conversation belongs to nobody")
        urls = {one.id: await self._links.url_of(one, MAX_FILE_BYTES) for one in files_of(message)}
        about = {"receiver": receiver, "min_api_version": 1, "sender": sender_of(self._settings)}
        calls = [{**about, **call} for call in calls_for(message, urls)]
        return Sent(native_ids=await self._progress.send(message.id, calls, self._take))

    async def probe(self) -> str:
        """The bot's name."""
        return (await self._call("get_account_info", {}, _Account)).name

    async def close(self) -> None:
        return None

    async def _take(self, params: Params) -> Sequence[str]:
        sent = await self._call("send_message", params, _Sent)
        return (str(sent.message_token),)

    async def _call(self, method: str, params: Mapping[str, object], answer: type[A]) -> A:
        response = await self._http.request(
            "POST",
            f"{self._settings.api_url.rstrip('/')}/pa/{method}",
            headers={"X-Viber-Auth-Token": self._settings.bot_token.reveal()},
            json=params,
            allow_private=self._settings.api_url != API_URL,
        )
        return _read(response, answer)


def _read(response: Response, answer: type[A]) -> A:
    """Viber answers 200 whatever it thinks of a message: the status is in the body."""
    if response.status == 401:
        raise Misconfigured("bot_token", "Viber refuses it (HTTP 401)")
    expect_ok(response)
    try:
        status = msgspec.json.decode(response.body, type=_Answer).status
        if status != 0:
            raise_failure(status)
        return msgspec.json.decode(response.body, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TryAgain("Viber answered with something that is not its API's") from None
