"""Signs requests to bots as Standard Webhooks 1.0 says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import sha256

from omnibus.config.fields import Secret

_PREFIX = "whsec_"


def signed_headers(secret: Secret, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers that prove a request to its receiver."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    signature = base64.b64encode(hmac.new(_key(secret), content, sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": f"v1,{signature}",
    }


def _key(secret: Secret) -> bytes:
    text = secret.reveal().removeprefix(_PREFIX)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()
