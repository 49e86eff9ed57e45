"""Standard Webhooks signatures (symmetric, ``v1``): how we prove our requests, and what proofs of others are made of.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence

from omnibus.errors import Misconfigured

PREFIX = "whsec_"
LEAST, MOST = 24, 64
"""Bytes of a key, as the specification asks for."""


def strict_key(secret: str) -> bytes:
    """The key of a secret that follows the specification. Raises Misconfigured for any other."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise Misconfigured("secrets", f"expected {PREFIX} and base64") from None
    if not LEAST <= len(key) <= MOST:
        raise Misconfigured("secrets", f"expected {LEAST} to {MOST} bytes in base64, got {len(key)}")
    return key


def lenient_key(secret: str) -> bytes:
    """The key of a secret somebody else chose: base64 where it is, the text itself where it is not."""
    text = secret.removeprefix(PREFIX)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> bytes:
    """HMAC-SHA256 over id, timestamp (seconds, as text) and body."""
    content = f"{message_id}.{timestamp}.".encode("utf-8", "replace") + body
    return hmac.digest(key, content, "sha256")


def signed_headers(keys: Sequence[bytes], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers that prove a request; one signature for each key, so that receivers may know any of them."""
    timestamp = str(timestamp_s)
    made = [base64.b64encode(signature(key, message_id, timestamp, body)).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{one}" for one in made),
    }
