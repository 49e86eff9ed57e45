"""The REST API: one call, and what its answer means. https://www.twilio.com/docs/usage/requests-to-twilio"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from connectors.twilio.errors import raise_failure
from connectors.twilio.settings import API_URL, TwilioSettings
from omnibus.errors import TryAgain
from omnibus.http import Http, Response

MAX_ANSWER_BYTES = 1_000_000
VERSION = "2010-04-01"


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of an answer: a resource, or an error (https://www.twilio.com/docs/usage/troubleshooting)."""

    sid: str | None = None
    friendly_name: str | None = None
    code: int | None = None


class TwilioApi:
    """Calls Twilio for one account."""

    def __init__(self, http: Http, settings: TwilioSettings) -> None:
        self._http = http
        self._account = settings.account_sid
        self._base = settings.api_url.rstrip("/")
        self._credentials = credentials_of(settings)
        self._own_api = settings.api_url != API_URL

    async def create_message(self, fields: Sequence[tuple[str, str]]) -> str:
        """The SID of the message Twilio took. Raises as `raise_failure` does, and TryAgain when no answer came."""
        answered = await self._call("POST", "/Messages.json", urlencode(fields).encode())
        if not answered.sid:
            raise TryAgain("Twilio answered with something that is no message")
        return answered.sid

    async def account_name(self) -> str | None:
        """How the account is called. https://www.twilio.com/docs/iam/api/account#fetch-an-account-resource"""
        return (await self._call("GET", ".json")).friendly_name

    async def _call(self, method: str, path: str, body: bytes | None = None) -> Answered:
        headers = {"Authorization": self._credentials}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        response = await self._http.request(
            method,
            f"{self._base}/{VERSION}/Accounts/{quote(self._account, safe='')}{path}",
            headers=headers,
            body=body,
            max_response_bytes=MAX_ANSWER_BYTES,
            allow_private=self._own_api,
        )
        answered = _read(response)
        if not response.ok:
            raise_failure(response, None if answered is None else answered.code)
        return answered or Answered()


def credentials_of(settings: TwilioSettings) -> str:
    """The API key where there is one, else the account itself. https://www.twilio.com/docs/iam/api-keys"""
    user, password = settings.account_sid, settings.auth_token
    if settings.api_key_sid is not None and settings.api_key_secret is not None:
        user, password = settings.api_key_sid, settings.api_key_secret
    return "Basic " + base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()


def is_own_address(url: str, settings: TwilioSettings) -> bool:
    """Whether our credentials may be sent there: to Twilio, or to the host the operator named."""
    try:
        parts, ours = urlsplit(url), urlsplit(settings.api_url)
        host = parts.hostname or ""
        if (parts.scheme, host, parts.port) == (ours.scheme, ours.hostname, ours.port):
            return True
    except ValueError:
        return False
    return (
        parts.scheme == "https" and parts.port in (None, 443) and (host == "twilio.com" or host.endswith(".twilio.com"))
    )


def _read(response: Response) -> Answered | None:
    try:
        return msgspec.json.decode(response.body, type=Answered)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
