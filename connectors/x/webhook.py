"""How X proves itself, and how we prove ourselves to X.

https://docs.x.com/x-api/webhooks/introduction#security and https://docs.x.com/x-api/webhooks/quickstart
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from connectors._shared.signatures import check_hmac, digest
from connectors.x.settings import XSettings
from omnibus.channel.receive import Answer, Request, Unverified, Verdict, Webhook
from omnibus.config.fields import Secret

SIGNATURE = "x-twitter-webhooks-signature"
"""Signed with the OAuth 1.0 consumer secret."""
SIGNATURE_OAUTH2 = "x-twitter-webhooks-signature-oauth2"
"""Signed with the OAuth 2.0 client secret; of the two the one to look at."""
PREFIX = "sha256="
MAX_CRC_TOKEN = 1_000


class _Filter(msgspec.Struct, frozen=True):
    user_id: str | None = None


class _Data(msgspec.Struct, frozen=True):
    filter: _Filter = _Filter()


class _Whose(msgspec.Struct, frozen=True):
    """Whose activity a request is, in both forms."""

    for_user_id: str | None = None
    data: _Data = _Data()


_whose = msgspec.json.Decoder(_Whose)


def verify(request: Request, settings: XSettings) -> Verdict:
    """The signature that we have the secret for, the newer one first. X signs no time: there is no replay window."""
    newer = request.header(SIGNATURE_OAUTH2)
    if newer is not None and settings.client_secret is not None:
        _check(settings.client_secret, request, newer)
        return "hmac"
    if settings.app_secret is None:
        raise Unverified(f"{SIGNATURE_OAUTH2} is missing")
    _check(settings.app_secret, request, request.header(SIGNATURE))
    return "hmac"


def challenge(request: Request, settings: XSettings) -> Answer | None:
    """The challenge-response check, made with the same secret: X asks at the registration, and every hour.

    Our answer is the signature of whatever was asked, and anybody may ask. What could be the body of a request is
    therefore not signed: all of them are JSON objects, and a challenge of X never is one.
    """
    token = request.param("crc_token")
    if request.method != "GET" or token is None:
        return None
    secret = settings.client_secret or settings.app_secret
    if secret is None or len(token) > MAX_CRC_TOKEN or "{" in token:
        raise Unverified("not a challenge of X")
    signature = base64.b64encode(digest(secret, token.encode("utf-8", "replace"))).decode()
    body = msgspec.json.encode({"response_token": f"{PREFIX}{signature}"})
    return Answer(body=body, content_type="application/json")


def addresses(request: Request) -> Sequence[str]:
    """The account that a request is about: all accounts of an app have one address."""
    try:
        whose = _whose.decode(request.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()
    found = whose.for_user_id or whose.data.filter.user_id
    return () if found is None else (found,)


def _check(secret: Secret, request: Request, given: str | None) -> None:
    check_hmac((secret,), request.body, given, prefix=PREFIX, encoding="base64")


X_WEBHOOK = Webhook(
    verify=verify,
    challenge=challenge,
    addresses=addresses,
    address=lambda settings: settings.user_id,
)
