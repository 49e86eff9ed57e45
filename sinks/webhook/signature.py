"""Standard Webhooks signatures (symmetric, ``v1``).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence

from omnibus.errors import Misconfigured

_PREFIX = "whsec_"
_LEAST, _MOST = 24, 64
"""Bytes of a secret, as the specification asks for."""


def key_of(secret: str) -> bytes:
    """The signing key of a secret as it is handed out. Raises Misconfigured."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise Misconfigured("secrets", f"expected {_PREFIX} and base64") from None
    if not _LEAST <= len(key) <= _MOST:
        raise Misconfigured("secrets", f"expected {_LEAST} to {_MOST} bytes in base64, got {len(key)}")
    return key


def signed_headers(event_id: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The three headers that prove a request; one signature for each key, so that receivers may know any of them."""
    content = b".".join((event_id.encode(), str(timestamp).encode(), body))
    signatures = [f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}" for key in keys]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
