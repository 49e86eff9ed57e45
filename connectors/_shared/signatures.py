"""How providers prove themselves: tokens, HMAC signatures, Standard Webhooks. Pure, and constant in time.

Every check returns quietly or raises Unverified, whose text never quotes a secret or what was sent. A list of secrets
is for rotation: any of them proves the sender.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha1, sha256, sha512
from typing import Any, Literal

from omnibus import standard_webhooks
from omnibus.channel.receive import Request, Unverified
from omnibus.config.fields import Secret

Encoding = Literal["hex", "base64"]
Algorithm = Literal["sha1", "sha256", "sha512"]

FIVE_MINUTES = timedelta(minutes=5)
"""The replay window of Slack, Stripe and Standard Webhooks alike."""

_HASHES: Mapping[Algorithm, Any] = {"sha1": sha1, "sha256": sha256, "sha512": sha512}
_MAX_SIGNATURES = 20


def check_token(secrets: Iterable[Secret], given: str | None) -> None:
    """The sender repeats a secret."""
    if given is None:
        raise Unverified("the token is missing")
    sent = given.encode("utf-8", "replace")
    if not _any(hmac.compare_digest(secret.reveal().encode(), sent) for secret in secrets):
        raise Unverified("the token is wrong")


def check_bearer(secrets: Iterable[Secret], authorization: str | None) -> None:
    """``Authorization: Bearer <token>`` (RFC 6750, section 2.1)."""
    check_token(secrets, _credentials(authorization, "bearer"))


def check_basic(user: str, password: Secret, authorization: str | None) -> None:
    """``Authorization: Basic <base64 of user:password>`` (RFC 7617)."""
    try:
        given = base64.b64decode(_credentials(authorization, "basic"), validate=True)
    except (binascii.Error, ValueError):
        raise Unverified("the credentials are unreadable") from None
    if not hmac.compare_digest(f"{user}:{password.reveal()}".encode(), given):
        raise Unverified("user or password is wrong")


def check_hmac(
    secrets: Iterable[Secret],
    signed: bytes,
    given: str | None,
    *,
    prefix: str = "",
    encoding: Encoding = "hex",
    algorithm: Algorithm = "sha256",
) -> None:
    """The sender signed exactly these bytes; `given` is the signature as its header has it, behind `prefix`."""
    if given is None:
        raise Unverified("the signature is missing")
    if not given.startswith(prefix):
        raise Unverified("the signature is of another scheme")
    signature = decoded(given[len(prefix) :], encoding)
    if not _any(hmac.compare_digest(digest(secret, signed, algorithm), signature) for secret in secrets):
        raise Unverified("the signature is wrong")


def check_timestamp(given: str | None, received_at: datetime, window: timedelta = FIVE_MINUTES) -> str:
    """The signed time is near ours, so a recorded request cannot be played again later. Returns it as given.

    Some providers say seconds, some milliseconds since the epoch.
    """
    if given is None or not given.isascii() or not given.isdigit() or len(given) > 16:
        raise Unverified("the timestamp is missing or unreadable")
    seconds = int(given) / (1000 if len(given) > 11 else 1)
    if abs(received_at.timestamp() - seconds) > window.total_seconds():
        raise Unverified("the timestamp is too far from now")
    return given


def check_standard_webhooks(secrets: Iterable[Secret], request: Request, window: timedelta = FIVE_MINUTES) -> None:
    """Headers ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` as Standard Webhooks 1.0 has them.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    message_id = request.header("webhook-id")
    if not message_id:
        raise Unverified("webhook-id is missing")
    timestamp = check_timestamp(request.header("webhook-timestamp"), request.received_at, window)
    given = [
        decoded(signature.removeprefix("v1,"), "base64")
        for signature in (request.header("webhook-signature") or "").split(" ")[:_MAX_SIGNATURES]
        if signature.startswith("v1,")
    ]
    keys = [standard_webhooks.lenient_key(secret.reveal()) for secret in secrets]
    expected = [standard_webhooks.signature(key, message_id, timestamp, request.body) for key in keys]
    if not _any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in given):
        raise Unverified("the signature is wrong")


def digest(secret: Secret, signed: bytes, algorithm: Algorithm = "sha256") -> bytes:
    """HMAC of `signed`."""
    return hmac.new(secret.reveal().encode(), signed, _HASHES[algorithm]).digest()


def decoded(signature: str, encoding: Encoding) -> bytes:
    """The bytes of a signature. Raises Unverified when it is not of that encoding."""
    try:
        if encoding == "hex":
            return bytes.fromhex(signature)
        return base64.b64decode(signature, validate=True)
    except ValueError:
        raise Unverified("the signature is unreadable") from None


def _credentials(authorization: str | None, scheme: str) -> str:
    given, _, credentials = (authorization or "").partition(" ")
    if given.lower() != scheme or not credentials.strip():
        raise Unverified("the credentials are missing")
    return credentials.strip()


def _any(results: Iterable[bool]) -> bool:
    """Whether one is true, after looking at all of them: how long it takes must not tell which."""
    found = False
    for result in results:
        found |= result
    return found
