"""How Vonage proves itself.

Messages API: a JSON web token of the account's signature secret, which also holds the hash of the body.
https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks

SMS API: a parameter ``sig`` over all the others, where Vonage's support has switched it on.
https://developer.vonage.com/en/getting-started/concepts/signing-messages

Both hold a time. A request that we could not take is repeated for 24 hours, so that is how old it may be.

After a fault of its own, Vonage may send a message without the token. It is sent again, with the token, when we answer
5xx, and never when we answer 401. https://developer.nexmo.com/cn/messages/concepts/signed-webhooks
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from hashlib import md5, sha1, sha256, sha512
from typing import Any

import msgspec

from connectors._shared import signatures
from connectors._shared.bodies import json_of
from connectors._shared.sms.fields import Pairs, first_of, pairs_of, plain_fields
from connectors.vonage.settings import VonageSettings
from omnibus.channel.receive import NotSignedYet, Request, Unverified, Verdict
from omnibus.config.fields import Secret
from omnibus.errors import InvalidPayload

MAX_TOKEN_CHARS = 8_192
SIGNATURE = "sig"
_OF_MESSAGES_API = b'"message_uuid"'
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){16,64}")
_HMACS: Mapping[str, Any] = {"md5": md5, "sha1": sha1, "sha256": sha256, "sha512": sha512}


class _Head(msgspec.Struct, frozen=True):
    alg: str


class _Claims(msgspec.Struct, frozen=True):
    payload_hash: str
    iat: int
    exp: int | None = None
    api_key: str | None = None
    application_id: str | None = None


def verify(request: Request, settings: VonageSettings) -> Verdict:
    """Raises Unverified unless the account's secret signed this very request, NotSignedYet where it has no token."""
    authorization = request.header("authorization")
    if authorization is not None:
        _check_token(authorization, request, settings)
        return "jwt"
    if _OF_MESSAGES_API in request.body:
        raise NotSignedYet("the token of the Messages API is missing")
    if settings.sms_signature == "off":
        raise Unverified("the token is missing")
    fields = _fields(request)
    if "message_uuid" in fields:
        raise Unverified("the Messages API proves itself by a token")
    if settings.sms_signature == "unsigned":
        return "none"
    _check_signature(fields, request, settings)
    return "hmac"


# --- Messages API -----------------------------------------------------------------------------------


def _check_token(authorization: str, request: Request, settings: VonageSettings) -> None:
    scheme, _, token = authorization.partition(" ")
    parts = token.strip().split(".")
    if scheme.lower() != "bearer" or len(parts) != 3 or len(token) > MAX_TOKEN_CHARS:
        raise Unverified("the token is unreadable")
    head, claims, signature = (_decoded(part) for part in parts)
    # The algorithm is ours to say: "none", or a public key used as a secret, must not pass (RFC 8725, section 3.1).
    if _read(head, _Head).alg != "HS256":
        raise Unverified("the token is signed in another way")
    signed = f"{parts[0]}.{parts[1]}".encode()
    if not _any_matches([_mac(secret, signed, sha256) for secret in _secrets(settings)], signature):
        raise Unverified("the signature is wrong")
    _check_claims(_read(claims, _Claims), request, settings)


def _check_claims(claims: _Claims, request: Request, settings: VonageSettings) -> None:
    if not hmac.compare_digest(claims.payload_hash.lower().encode(), sha256(request.body).hexdigest().encode()):
        raise Unverified("the body is not the one that was signed")
    signatures.check_timestamp(str(claims.iat), request.received_at, settings.replay_window)
    if claims.exp is not None and claims.exp < request.received_at.timestamp():
        raise Unverified("the token has expired")
    for name, ours, theirs in (
        ("api_key", None if settings.api_key is None else settings.api_key.reveal(), claims.api_key),
        ("application_id", settings.application_id, claims.application_id),
    ):
        if ours is not None and theirs is not None and ours != theirs:
            raise Unverified(f"the token is for another {name}")


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Unverified("the token is unreadable") from None


def _read(data: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unverified("the token is unreadable") from None


# --- SMS API ----------------------------------------------------------------------------------------


def _check_signature(fields: Mapping[str, str], request: Request, settings: VonageSettings) -> None:
    written = fields.get(SIGNATURE, "")
    if not _HEX.fullmatch(written):
        raise Unverified("the signature is missing or unreadable")
    given = bytes.fromhex(written)
    signed = signed_text(fields)
    if settings.sms_signature == "md5hash":
        made = [md5(signed + secret.reveal().encode(), usedforsecurity=False).digest() for secret in _secrets(settings)]
    else:
        made = [_mac(secret, signed, _HMACS[settings.sms_signature]) for secret in _secrets(settings)]
    if not _any_matches(made, given):
        raise Unverified("the signature is wrong")
    signatures.check_timestamp(fields.get("timestamp"), request.received_at, settings.replay_window)


def signed_text(fields: Mapping[str, str]) -> bytes:
    """Every field but the signature, by name; ``&`` and ``=`` in values are underscores."""
    pairs = ((name, value) for name, value in sorted(fields.items()) if name != SIGNATURE)
    return "".join(f"&{name}={value.replace('&', '_').replace('=', '_')}" for name, value in pairs).encode()


def _fields(request: Request) -> dict[str, str]:
    """The fields where the request's type says they are; a body of another type was not signed."""
    if not request.body:
        return first_of(list(request.query))
    media_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    try:
        if media_type == "application/json" and request.body == request.body.strip():
            return plain_fields(json_of(request.body))
        if media_type == "application/x-www-form-urlencoded":
            return first_of(_once(pairs_of(request.body)))
    except InvalidPayload:
        raise Unverified("the body is unreadable") from None
    raise Unverified("the body is of a type that is not signed")


def _once(pairs: Pairs) -> Pairs:
    if len({name for name, _ in pairs}) != len(pairs):
        raise Unverified("a field comes twice")
    return pairs


def _mac(secret: Secret, signed: bytes, algorithm: Any) -> bytes:
    return hmac.new(secret.reveal().encode(), signed, algorithm).digest()


def _any_matches(made: Iterable[bytes], given: bytes) -> bool:
    """Looks at all of them: how long it takes must not tell which."""
    found = False
    for each in made:
        found |= hmac.compare_digest(each, given)
    return found


def _secrets(settings: VonageSettings) -> list[Secret]:
    return [one for one in (settings.signing_secret, settings.previous_signing_secret) if one is not None]
