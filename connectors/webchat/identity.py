"""Who a visitor is: signed tokens and cookies, verified users of the embedding site, tickets and links of files.

Everything is signed with HMAC-SHA256 over length-framed parts that begin with a purpose and the account, so that a
signature made for one thing never passes for another.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta

import msgspec

from connectors.webchat.protocol import UploadedFile, UserClaim
from omnibus.channel.receive import Unverified

VISITOR_LIFE = timedelta(days=365)
_LINK_STEP_S = 3_600
_DAY_S = 24 * 3_600


class Visitor(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody behind a widget. `user` is set when the embedding site's signature proved it."""

    id: str
    user: str | None = None
    name: str | None = None
    email: str | None = None

    @property
    def thread(self) -> str:
        """The native thread: a verified user's follows them to every device, a visitor's stays in one browser."""
        return f"u:{self.user}" if self.user is not None else f"v:{self.id}"


class IdentityRefused(Unverified):
    """The page claims a user it has no signature for; we do not serve somebody's history on a claim."""


class Signer:
    """Makes and checks the signatures of one account."""

    def __init__(self, secret: str, account: str) -> None:
        self._secret = secret.encode()
        self._account = account

    def token(self, visitor: str, now_ms: int) -> str:
        """The visitor's token, good for a year: the cookie's value, and what embeds without cookies keep."""
        expires = now_ms // 1000 + int(VISITOR_LIFE.total_seconds())
        return f"v1.{visitor}.{expires}.{self._sign('visitor', visitor, str(expires))}"

    def visitor_of(self, token: str | None, now_ms: int) -> str | None:
        """The visitor whose valid token this is; None for anything else."""
        parts = (token or "").split(".")
        if len(parts) != 4 or parts[0] != "v1" or not _is_number(parts[2]):
            return None
        _, visitor, expires, signature = parts
        if not self._is_signed(signature, "visitor", visitor, expires) or int(expires) * 1000 < now_ms:
            return None
        return visitor

    def session(self, thread: str, now_ms: int) -> str:
        """What a connected widget shows when it uploads files; good for a day, and for this thread only."""
        name, expires = urlsafe_b64encode(thread.encode()).decode(), str(now_ms // 1000 + _DAY_S)
        return f"s1.{name}.{expires}.{self._sign('session', name, expires)}"

    def thread_of(self, session: str | None, now_ms: int) -> str | None:
        """The thread whose valid session this is; None for anything else."""
        parts = (session or "").split(".")
        if len(parts) != 4 or parts[0] != "s1" or not _is_number(parts[2]):
            return None
        _, name, expires, signature = parts
        if not self._is_signed(signature, "session", name, expires) or int(expires) * 1000 < now_ms:
            return None
        return urlsafe_b64decode(name).decode()

    def ticket(self, thread: str, uri: str, name: str, mime: str, size: int) -> str:
        """Proof that a file was uploaded in this thread, with this name and type."""
        return self._sign("ticket", thread, uri, name, mime, str(size))

    def is_ticket(self, thread: str, file: UploadedFile) -> bool:
        """Whether this thread uploaded exactly that file."""
        return self._is_signed(file.ticket, "ticket", thread, file.uri, file.name, file.mime, str(file.size))

    def link(self, digest: str, name: str, mime: str, now_ms: int) -> str:
        """A signature that opens one file for a day; the same within an hour, so that browsers may cache it."""
        expires = (now_ms // 1000 // _LINK_STEP_S + 1) * _LINK_STEP_S + _DAY_S
        return f"{expires}.{self._sign('link', digest, name, mime, str(expires))}"

    def is_link(self, link: str, digest: str, name: str, mime: str, now_ms: int) -> bool:
        """Whether we signed that link and it has not expired."""
        expires, _, signature = link.partition(".")
        if not _is_number(expires) or int(expires) * 1000 < now_ms:
            return False
        return self._is_signed(signature, "link", digest, name, mime, expires)

    def _sign(self, *parts: str) -> str:
        digest = hmac.new(self._secret, digestmod=hashlib.sha256)
        for part in ("webchat", self._account, *parts):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(4, "big") + data)
        return urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()

    def _is_signed(self, signature: str, *parts: str) -> bool:
        return hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), self._sign(*parts).encode())


def new_visitor() -> str:
    """The id of somebody we have never seen."""
    return secrets.token_hex(16)


def verified(visitor: str, claim: UserClaim | None, identity_secret: str | None) -> Visitor:
    """The visitor with what the page says of them. Raises IdentityRefused for a user id without its signature.

    The signature is HMAC-SHA256(identity_secret, user_id) in hex, as Intercom and Chatwoot have it. Name and address
    are not covered by it: they are shown as said, and prove nothing.
    """
    if claim is None:
        return Visitor(id=visitor)
    if claim.user_id is None:
        return Visitor(id=visitor, name=claim.name, email=claim.email)
    if identity_secret is None or claim.hmac is None:
        raise IdentityRefused("a user id needs its signature")
    expected = hmac.new(identity_secret.encode(), claim.user_id.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, claim.hmac.lower()):
        raise IdentityRefused("the signature of the user id is wrong")
    return Visitor(id=visitor, user=claim.user_id, name=claim.name, email=claim.email)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12
