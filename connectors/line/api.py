"""The Messaging API: one call, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from connectors.line.channel import API_URL, DATA_URL, LineSettings
from connectors.line.errors import raise_failure
from omnibus.errors import TryAgain
from omnibus.http import Http, Response

T = TypeVar("T")

ACCEPTED_BEFORE = 409
"""The retry key was taken already: the message is out. https://developers.line.biz/en/docs/messaging-api/retrying-api-request/"""


class _SentMessage(msgspec.Struct, frozen=True):
    id: str


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    sent_messages: tuple[_SentMessage, ...] = ()


class MessagingApi:
    """Calls the API for one account."""

    def __init__(self, http: Http, settings: LineSettings) -> None:
        self._http = http
        self._api = settings.api_url.rstrip("/")
        self._data = settings.data_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {settings.access_token.reveal()}"}
        self._private_api = settings.api_url != API_URL
        self.private_data = settings.data_url != DATA_URL

    @property
    def headers(self) -> Mapping[str, str]:
        """What proves us to the address that files come from."""
        return self._headers

    async def reply(self, token: str, messages: Sequence[object]) -> Sequence[str]:
        """Answer with a reply token; the ids of the messages. Raises TokenUsed, and as `push` does.

        https://developers.line.biz/en/reference/messaging-api/#send-reply-message
        """
        return _ids(await self._post("reply", {"replyToken": token, "messages": messages}, {}))

    async def push(self, to: str, messages: Sequence[object], retry_key: str) -> Sequence[str]:
        """Send to a user, group or room; the ids of the messages. Raises TryAgain, Misconfigured, Refused.

        https://developers.line.biz/en/reference/messaging-api/#send-push-message
        """
        key = {"X-Line-Retry-Key": retry_key}
        return _ids(await self._post("push", {"to": to, "messages": messages}, key))

    async def info(self, path: str, answer: type[T]) -> T:
        """Ask for something. Raises as `push` does."""
        return _read(await self._get(self._api, path, allow_private=self._private_api), answer)

    async def about_file(self, path: str, answer: type[T]) -> T:
        """Ask the address that files come from. Raises as `push` does."""
        return _read(await self._get(self._data, path, allow_private=self.private_data), answer)

    def file_url(self, message_id: str) -> str:
        """https://developers.line.biz/en/reference/messaging-api/#get-content"""
        return f"{self._data}/v2/bot/message/{message_id}/content"

    async def _post(self, how: str, body: object, headers: Mapping[str, str]) -> Response:
        return await self._http.request(
            "POST",
            f"{self._api}/v2/bot/message/{how}",
            headers={**self._headers, **headers},
            json=body,
            allow_private=self._private_api,
        )

    async def _get(self, base: str, path: str, *, allow_private: bool) -> Response:
        return await self._http.request("GET", f"{base}{path}", headers=self._headers, allow_private=allow_private)


def _ids(response: Response) -> Sequence[str]:
    if response.status == ACCEPTED_BEFORE:
        return [each.id for each in _decoded(response, _Answer).sent_messages]
    return [each.id for each in _read(response, _Answer).sent_messages]


def _read(response: Response, answer: type[T]) -> T:
    if not response.ok:
        raise_failure(response)
    return _decoded(response, answer)


def _decoded(response: Response, answer: type[T]) -> T:
    try:
        return msgspec.json.decode(response.body, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TryAgain("LINE answered with something that is not the Messaging API's") from None
