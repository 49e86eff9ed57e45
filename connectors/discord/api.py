"""The REST API: one call, and what its answer means. https://docs.discord.com/developers/reference"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from connectors.discord.channel import API_URL, DiscordSettings
from connectors.discord.errors import raise_failure
from omnibus.errors import TryAgain
from omnibus.http import Http, Part, Response

T = TypeVar("T")

USER_AGENT = "DiscordBot (https://example.org/omnibus, 1)"
"""Requests without such a name may be refused: https://docs.discord.com/developers/reference#user-agent"""


class RestApi:
    """Calls the API as one bot."""

    def __init__(self, http: Http, settings: DiscordSettings) -> None:
        self._http = http
        self._base = settings.api_url.rstrip("/")
        self._headers = {"Authorization": f"Bot {settings.bot_token.reveal()}", "User-Agent": USER_AGENT}
        self.allow_private = settings.api_url != API_URL

    async def get(self, path: str, answer: type[T]) -> T:
        """Raises TryAgain, Misconfigured, RecipientGone, Refused."""
        return _read(await self._request("GET", path), answer)

    async def post(self, path: str, body: object, answer: type[T], parts: Sequence[Part] = ()) -> T:
        """The same, with JSON; and files beside it (https://docs.discord.com/developers/reference#uploading-files)."""
        if not parts:
            return _read(await self._request("POST", path, json=body), answer)
        told = Part(name="payload_json", value=msgspec.json.encode(body), content_type="application/json")
        return _read(await self._request("POST", path, parts=[told, *parts]), answer)

    async def tell(self, path: str, body: object) -> None:
        """A call whose answer does not matter. Raises as `get` does."""
        response = await self._request("POST", path, json=body)
        if not response.ok:
            raise_failure(response)

    async def _request(
        self, method: str, path: str, *, json: object = None, parts: Sequence[Part] | None = None
    ) -> Response:
        return await self._http.request(
            method,
            f"{self._base}{path}",
            headers=self._headers,
            json=json,
            parts=parts,
            allow_private=self.allow_private,
        )


def _read(response: Response, answer: type[T]) -> T:
    if not response.ok:
        raise_failure(response)
    try:
        return msgspec.json.decode(response.body, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TryAgain("Discord answered with something that is not its API's") from None
