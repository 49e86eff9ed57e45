"""Signing answers: DKIM (RFC 6376) with RSA-SHA256 or Ed25519-SHA256 (RFC 8463), relaxed both ways.

Needs the package `cryptography` (the extra `omnibus[dkim]`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from connectors.email.settings import DkimSettings
from omnibus.errors import Misconfigured

SIGNED = frozenset({"from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references", "reply-to"})
SIGNED_MIME = frozenset({"mime-version", "content-type", "content-transfer-encoding"})
_BLANKS = re.compile(rb"[ \t]+")
_FIELD = re.compile(rb"([!-9;-~]+):((?:[^\r\n]|\r\n[ \t])*)\r\n")


class Signer:
    """Signs mails for one domain. Raises Misconfigured when the key cannot be used or the extra is missing."""

    def __init__(self, settings: DkimSettings) -> None:
        try:
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
        except ModuleNotFoundError as error:
            raise Misconfigured("outgoing.dkim", "needs the extra: pip install 'omnibus[dkim]'") from error
        try:
            key = serialization.load_pem_private_key(settings.key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise Misconfigured("outgoing.dkim.key", f"cannot be used: {type(error).__name__}") from error
        if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
            raise Misconfigured("outgoing.dkim.key", "must be an RSA or an Ed25519 key")
        self._key = key
        self._algorithm = "rsa-sha256" if isinstance(key, rsa.RSAPrivateKey) else "ed25519-sha256"
        self._settings = settings

    def signed(self, mail: bytes, at: int) -> bytes:
        """`mail` (with CRLF) with its signature on top; `at` is the time in seconds since 1970."""
        header, _, body = mail.partition(b"\r\n\r\n")
        fields = [(name.lower(), value) for name, value in _FIELD.findall(header + b"\r\n")]
        # Of fields with one name the last is signed first (section 5.4.2); our mails have each once.
        chosen = [(name, value) for name, value in fields if name.decode() in SIGNED | SIGNED_MIME]
        # From once more than there is: nobody may add another (section 8.15).
        names = b":".join([*(name for name, _ in chosen), b"from"])
        digest = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest())
        value = (
            f" v=1; a={self._algorithm}; c=relaxed/relaxed; d={self._settings.domain};\r\n"
            f" s={self._settings.selector}; t={at}; bh={digest.decode()};\r\n h={names.decode()};\r\n b="
        ).encode()
        signature = base64.b64encode(self._sign(_signed_data(chosen, value))).decode()
        folded = "\r\n ".join(signature[start : start + 72] for start in range(0, len(signature), 72))
        return b"DKIM-Signature:" + value + folded.encode() + b"\r\n" + mail

    def _sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self._key.sign(hashlib.sha256(data).digest())  # RFC 8463 section 3: of the digest


def _signed_data(fields: Sequence[tuple[bytes, bytes]], value: bytes) -> bytes:
    lines = [_relaxed_field(name, text) for name, text in fields]
    return b"".join(lines) + _relaxed_field(b"dkim-signature", value).removesuffix(b"\r\n")


def _relaxed_field(name: bytes, value: bytes) -> bytes:
    """Section 3.4.2."""
    return name.strip() + b":" + _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip() + b"\r\n"


def _relaxed_body(body: bytes) -> bytes:
    """Section 3.4.4."""
    lines = [_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)
