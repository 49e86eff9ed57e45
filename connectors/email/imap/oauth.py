"""Access tokens for XOAUTH2, had with a refresh token (RFC 6749 section 6) and renewed before they end.

https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
https://learn.microsoft.com/en-us/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from connectors.email.settings import OauthSettings
from omnibus import clock
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.http import Http, Response
from omnibus.telemetry.redact import remember

_EARLY = timedelta(minutes=1)
_HOUR = 3_600
# RFC 6749 section 5.2: what no second try mends.
_FINAL = {
    "invalid_grant": ("refresh_token", "the refresh token is not valid any more; grant access anew"),
    "invalid_client": ("client_secret", "the token server does not know this client or its secret"),
    "unauthorized_client": ("client_id", "this client may not use refresh tokens"),
    "invalid_scope": ("scope", "the token server does not know this scope"),
    "invalid_request": ("token_url", "the token server does not understand the request"),
    "unsupported_grant_type": ("token_url", "the token server issues no tokens for refresh tokens"),
}


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = _HOUR
    refresh_token: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


class Tokens:
    """The current access token of one mailbox."""

    def __init__(self, settings: OauthSettings, http: Http) -> None:
        self._settings = settings
        self._http = http
        self._refresh_token = settings.refresh_token.reveal()
        self._token = ""
        self._until_ms = 0

    async def token(self) -> str:
        """A token that is valid for a minute at least. Raises Misconfigured, TryAgain."""
        if clock.now_ms() >= self._until_ms - int(_EARLY.total_seconds() * 1000):
            await self._renew()
        return self._token

    def refused(self) -> None:
        """The mail server did not take the token: the next one is a fresh one."""
        self._until_ms = 0

    async def _renew(self) -> None:
        settings = self._settings
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token, "client_id": settings.client_id}
        if settings.client_secret is not None:
            form["client_secret"] = settings.client_secret.reveal()
        if settings.scope is not None:
            form["scope"] = settings.scope
        try:
            answer = await self._http.request("POST", settings.token_url, form=form, allow_private=True)
        except Refused as error:
            raise Misconfigured("imap.oauth.token_url", error.reason) from error
        granted = _granted(answer)
        remember(granted.access_token)  # so that no log shows it
        self._token = granted.access_token
        self._until_ms = clock.now_ms() + int(granted.expires_in * 1000)
        if granted.refresh_token:
            # Microsoft rotates them; the old one stays valid, so a restart may begin with the configured one again.
            self._refresh_token = granted.refresh_token


def _granted(answer: Response) -> _Granted:
    if answer.status == 200:
        try:
            return msgspec.json.decode(answer.body, type=_Granted)
        except msgspec.MsgspecError as error:
            raise TryAgain("the token server's answer is no token") from error
    try:
        refusal = msgspec.json.decode(answer.body, type=_Refusal)
    except msgspec.MsgspecError:
        refusal = _Refusal()
    if answer.status in (400, 401, 403) and refusal.error in _FINAL:
        field, why = _FINAL[refusal.error]
        raise Misconfigured(f"imap.oauth.{field}", why)
    raise TryAgain(f"the token server answered {answer.status}")
