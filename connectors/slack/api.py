"""The Web API: one call, and what its answer means. https://docs.slack.dev/apis/web-api"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from connectors.slack.channel import API_URL, SlackSettings
from connectors.slack.errors import raise_failure
from omnibus.errors import Misconfigured, TryAgain
from omnibus.http import Http, Response, expect_ok

T = TypeVar("T")


class _Envelope(msgspec.Struct, frozen=True):
    ok: bool
    error: str = ""


class WebApi:
    """Calls methods as the bot of one workspace."""

    def __init__(self, http: Http, settings: SlackSettings) -> None:
        self._http = http
        self.url = settings.api_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {settings.bot_token.reveal()}"}
        self.allow_private = settings.api_url != API_URL

    @property
    def headers(self) -> Mapping[str, str]:
        """What proves us, also to the addresses of files."""
        return self._headers

    async def post(self, method: str, params: Mapping[str, object], answer: type[T]) -> T:
        """Call a method with JSON. Raises TryAgain, Misconfigured, RecipientGone, Refused."""
        return _read(await self._request("POST", method, json=params), answer)

    async def form(self, method: str, params: Mapping[str, str], answer: type[T]) -> T:
        """The same for methods that read no JSON (https://docs.slack.dev/apis/web-api#post-bodies)."""
        return _read(await self._request("POST", method, form=params), answer)

    async def upload(self, url: str, data: bytes) -> None:
        """Send the bytes of a file to the address Slack gave for them. Raises as `post` does."""
        headers = {"Content-Type": "application/octet-stream"}
        expect_ok(await self._http.request("POST", url, headers=headers, body=data, allow_private=self.allow_private))

    async def _request(
        self, verb: str, method: str, *, json: object = None, form: Mapping[str, str] | None = None
    ) -> Response:
        return await self._http.request(
            verb,
            f"{self.url}/{method}",
            headers=self._headers,
            json=json,
            form=form,
            allow_private=self.allow_private,
        )


def _read(response: Response, answer: type[T]) -> T:
    if response.status == 401:
        raise Misconfigured("bot_token", "Slack refuses it (HTTP 401)")
    expect_ok(response)
    try:
        envelope = msgspec.json.decode(response.body, type=_Envelope)
        if not envelope.ok:
            raise_failure(envelope.error, response)
        return msgspec.json.decode(response.body, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TryAgain("Slack answered with something that is not the Web API's") from None
