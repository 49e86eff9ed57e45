"""How we prove ourselves to Vonage: a token signed with the application's key, or key and secret.

https://developer.vonage.com/en/getting-started/concepts/authentication
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from connectors.vonage.settings import VonageSettings
from omnibus import clock
from omnibus.errors import Misconfigured
from omnibus.model import ids

LIFE = timedelta(minutes=15)
_SPARE_S = 60


class Credentials:
    """The Authorization header of one account; a token is used until shortly before it expires."""

    def __init__(self, settings: VonageSettings) -> None:
        self._settings = settings
        self._token = ""
        self._until = 0

    def header(self) -> str:
        """Raises Misconfigured when there is nothing to prove ourselves with, or the key is none."""
        settings = self._settings
        if settings.private_key is not None:
            return f"Bearer {self._signed()}"
        if settings.api_key is None or settings.api_secret is None:
            raise Misconfigured(
                "private_key", "sending needs application_id and private_key, or api_key and api_secret"
            )
        pair = f"{settings.api_key.reveal()}:{settings.api_secret.reveal()}"
        token = base64.b64encode(pair.encode()).decode()
        return f"Basic {token}"

    def _signed(self) -> str:
        now = clock.now_ms() // 1000
        if now >= self._until - _SPARE_S:
            self._until = now + int(LIFE.total_seconds())
            self._token = self._new_token(now)
        return self._token

    def _new_token(self, now: int) -> str:
        jwt = _library()
        claims = {
            "application_id": self._settings.application_id,
            "iat": now,
            "exp": self._until,
            "jti": ids.random_id("jti"),
        }
        key = self._settings.private_key
        try:
            token: str = jwt.encode(claims, "" if key is None else key.reveal(), algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            # Not from the library's exception: it may quote the key.
            raise Misconfigured("private_key", "expected an RSA private key in PEM") from None
        return token


def _library() -> Any:
    try:
        import jwt  # an extra, and slow to import: only accounts that sign need it
    except ImportError:
        raise Misconfigured("private_key", "signing with it needs omnibus[jwt]") from None
    return jwt
