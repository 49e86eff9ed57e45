"""Interactions are signed with Ed25519, together with a time.

https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from connectors._shared import signatures
from omnibus.channel.receive import Request, Unverified
from omnibus.errors import TryAgain

SIGNATURE = "x-signature-ed25519"
TIMESTAMP = "x-signature-timestamp"

Check = Callable[[bytes, bytes], bool]


def check_signature(public_key: str, request: Request) -> None:
    """Returns quietly or raises Unverified; a request recorded more than five minutes ago counts no more.

    Raises TryAgain while the package that verifies is not installed: Discord sends nothing again, but the caller of a
    command is told that it failed.
    """
    timestamp = signatures.check_timestamp(request.header(TIMESTAMP), request.received_at)
    given = request.header(SIGNATURE)
    if given is None:
        raise Unverified("the signature is missing")
    signature = signatures.decoded(given, "hex")
    if len(signature) != 64 or not _check_of(public_key)(signature, timestamp.encode() + request.body):
        raise Unverified("the signature is wrong")


@lru_cache(maxsize=64)
def _check_of(public_key: str) -> Check:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise TryAgain("interactions need the extra: pip install 'omnibus[jwt]'") from None
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))

    def check(signature: bytes, signed: bytes) -> bool:
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True

    return check
