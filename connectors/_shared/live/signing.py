"""What we sign for people on a live line: tickets of files they uploaded, links that open a file for a while.

Everything is signed with HMAC-SHA256 over length-framed parts that begin with the channel, the account and a purpose,
so that a signature made for one thing never passes for another.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode

from connectors._shared.live.frames import UploadedFile

_LINK_STEP_S = 3_600
DAY_S = 24 * 3_600


class LiveSigner:
    """Makes and checks the signatures of one account."""

    def __init__(self, channel: str, secret: str, account: str) -> None:
        self._channel = channel
        self._secret = secret.encode()
        self._account = account

    def ticket(self, thread: str, uri: str, name: str, mime: str, size: int) -> str:
        """Proof that a file was uploaded in this thread, with this name and type."""
        return self.sign("ticket", thread, uri, name, mime, str(size))

    def is_ticket(self, thread: str, file: UploadedFile) -> bool:
        """Whether this thread uploaded exactly that file."""
        return self.is_signed(file.ticket, "ticket", thread, file.uri, file.name, file.mime, str(file.size))

    def link(self, digest: str, name: str, mime: str, now_ms: int) -> str:
        """A signature that opens one file for a day; the same within an hour, so that clients may cache it."""
        expires = (now_ms // 1000 // _LINK_STEP_S + 1) * _LINK_STEP_S + DAY_S
        return f"{expires}.{self.sign('link', digest, name, mime, str(expires))}"

    def is_link(self, link: str, digest: str, name: str, mime: str, now_ms: int) -> bool:
        """Whether we signed that link and it has not expired."""
        expires, _, signature = link.partition(".")
        if not is_number(expires) or int(expires) * 1000 < now_ms:
            return False
        return self.is_signed(signature, "link", digest, name, mime, expires)

    def sign(self, *parts: str) -> str:
        """The signature of `parts`, of which the first is the purpose."""
        digest = hmac.new(self._secret, digestmod=hashlib.sha256)
        for part in (self._channel, self._account, *parts):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(4, "big") + data)
        return urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()

    def is_signed(self, signature: str, *parts: str) -> bool:
        """Whether that is our signature of `parts`; constant in time."""
        return hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), self.sign(*parts).encode())


def is_users_signature(secret: str, user_id: str, given: str | None) -> bool:
    """Whether a company's own server signed that user id: HMAC-SHA256 in hex, as Intercom and Chatwoot have it."""
    expected = hmac.new(secret.encode(), user_id.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), (given or "").lower().encode("utf-8", "surrogatepass"))


def is_number(text: str) -> bool:
    """Whether that can be a time in seconds."""
    return text.isascii() and text.isdigit() and len(text) <= 12
