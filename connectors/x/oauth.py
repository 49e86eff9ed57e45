"""Proving to X for whom we act: OAuth 1.0a signatures, or an OAuth 2.0 user token.

https://docs.x.com/fundamentals/authentication/oauth-1-0a/creating-a-signature
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from connectors.x.settings import XSettings
from omnibus import clock
from omnibus.errors import Misconfigured


def authorization(settings: XSettings, method: str, url: str, query: Mapping[str, str]) -> str:
    """The header of a request. Raises Misconfigured when the account has no token.

    Bodies are JSON or multipart here, which OAuth 1.0a does not sign.
    """
    if settings.access_token is None:
        raise Misconfigured("access_token", "needed to send and to fetch files")
    token = settings.access_token.reveal()
    if settings.access_token_secret is None:
        return f"Bearer {token}"
    if settings.api_key is None or settings.app_secret is None:
        raise Misconfigured("access_token_secret", "needs api_key and app_secret beside it")
    claims = {
        "oauth_consumer_key": settings.api_key.reveal(),
        "oauth_nonce": secrets.token_hex(16),
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(clock.now_ms() // 1000),
        "oauth_token": token,
        "oauth_version": "1.0",
    }
    key = (settings.app_secret.reveal(), settings.access_token_secret.reveal())
    claims["oauth_signature"] = signature(method, url, {**query, **claims}, key)
    return "OAuth " + ", ".join(f'{encoded(name)}="{encoded(value)}"' for name, value in sorted(claims.items()))


def signature(method: str, url: str, params: Mapping[str, str], key: tuple[str, str]) -> str:
    """HMAC-SHA1 over method, address and all parameters; `key` is the app's secret and the token's."""
    parts = urlsplit(url)
    pairs = sorted((encoded(name), encoded(value)) for name, value in params.items())
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join((method.upper(), encoded(f"{parts.scheme}://{parts.netloc}{parts.path}"), encoded(joined)))
    signed = hmac.digest("&".join(encoded(part) for part in key).encode(), base.encode(), "sha1")
    return base64.b64encode(signed).decode()


def encoded(text: str) -> str:
    """Percent-encoding as RFC 3986 has it (https://www.rfc-editor.org/rfc/rfc5849#section-3.6)."""
    return quote(text, safe="-._~")
