"""X-Twilio-Signature. https://www.twilio.com/docs/usage/webhooks/webhooks-security

The signed text is the address Twilio called, whole, followed for a form by each field's name and value, sorted by name
and without anything between them. A JSON body is signed by its SHA-256 in the address (``bodySHA256``). Twilio gives
no time, so there is no replay window: a request that is played again is a duplicate by its SID.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from hashlib import sha256
from urllib.parse import urlsplit

from connectors._shared import signatures
from connectors._shared.sms.fields import pairs_of
from connectors.twilio.settings import TwilioSettings
from omnibus.channel.receive import Request, Unverified, Verdict
from omnibus.config.fields import Secret
from omnibus.errors import InvalidPayload

SIGNATURE_HEADER = "x-twilio-signature"
BODY_HASH = "bodySHA256"
_PORTS = {"https": 443, "http": 80}


def verify(request: Request, settings: TwilioSettings) -> Verdict:
    """Raises Unverified unless one of the account's tokens signed this very request."""
    given = request.header(SIGNATURE_HEADER)
    fields = _signed_fields(request)
    for address in _addresses(request.url):
        try:
            signatures.check_hmac(
                _tokens(settings), f"{address}{fields}".encode(), given, encoding="base64", algorithm="sha1"
            )
            return "hmac"
        except Unverified as error:
            failure = error
    raise failure


def _signed_fields(request: Request) -> str:
    """What follows the address; values of a repeated name are sorted and each counts once, as Twilio's SDKs do."""
    if not request.body:
        return ""
    body_hash = request.param(BODY_HASH)
    if body_hash is not None:
        if not hmac.compare_digest(sha256(request.body).hexdigest().encode(), body_hash.lower().encode()):
            raise Unverified("the body is not the one that was signed")
        return ""
    try:
        return "".join(f"{name}{value}" for name, value in sorted(set(pairs_of(request.body))))
    except InvalidPayload:
        raise Unverified("more fields than Twilio sends") from None


def _addresses(url: str) -> Iterator[str]:
    """The address as we know it, and with the port that goes without saying added or taken away.

    Twilio signs some requests with the port and some without, which is why its own SDKs try both.
    """
    yield url
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return
    if port is not None:
        yield url.replace(f":{port}", "", 1)
    elif parts.scheme in _PORTS:
        yield url.replace(parts.netloc, f"{parts.netloc}:{_PORTS[parts.scheme]}", 1)


def _tokens(settings: TwilioSettings) -> list[Secret]:
    return [token for token in (settings.auth_token, settings.previous_auth_token) if token is not None]
