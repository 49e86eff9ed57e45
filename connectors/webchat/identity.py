"""Who a visitor is: signed tokens and cookies, sessions, verified users of the embedding site."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta

import msgspec

from connectors._shared.live.signing import DAY_S, LiveSigner, is_number, is_users_signature
from connectors.webchat.protocol import UserClaim
from omnibus.channel.receive import Unverified

VISITOR_LIFE = timedelta(days=365)


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


class Signer(LiveSigner):
    """Makes and checks the signatures of one account."""

    def __init__(self, secret: str, account: str) -> None:
        super().__init__("webchat", secret, account)

    def token(self, visitor: str, now_ms: int) -> str:
        """The visitor's token, good for a year: the cookie's value, and what embeds without cookies keep."""
        expires = now_ms // 1000 + int(VISITOR_LIFE.total_seconds())
        return f"v1.{visitor}.{expires}.{self.sign('visitor', visitor, str(expires))}"

    def visitor_of(self, token: str | None, now_ms: int) -> str | None:
        """The visitor whose valid token this is; None for anything else."""
        parts = (token or "").split(".")
        if len(parts) != 4 or parts[0] != "v1" or not is_number(parts[2]):
            return None
        _, visitor, expires, signature = parts
        if not self.is_signed(signature, "visitor", visitor, expires) or int(expires) * 1000 < now_ms:
            return None
        return visitor

    def session(self, thread: str, now_ms: int) -> str:
        """What a connected widget shows when it uploads files; good for a day, and for this thread only."""
        name, expires = urlsafe_b64encode(thread.encode()).decode(), str(now_ms // 1000 + DAY_S)
        return f"s1.{name}.{expires}.{self.sign('session', name, expires)}"

    def thread_of(self, session: str | None, now_ms: int) -> str | None:
        """The thread whose valid session this is; None for anything else."""
        parts = (session or "").split(".")
        if len(parts) != 4 or parts[0] != "s1" or not is_number(parts[2]):
            return None
        _, name, expires, signature = parts
        if not self.is_signed(signature, "session", name, expires) or int(expires) * 1000 < now_ms:
            return None
        return urlsafe_b64decode(name).decode()


def new_visitor() -> str:
    """The id of somebody we have never seen."""
    return secrets.token_hex(16)


def verified(visitor: str, claim: UserClaim | None, identity_secret: str | None) -> Visitor:
    """The visitor with what the page says of them. Raises IdentityRefused for a user id without its signature.

    Name and address are not covered by it: they are shown as said, and prove nothing.
    """
    if claim is None:
        return Visitor(id=visitor)
    if claim.user_id is None:
        return Visitor(id=visitor, name=claim.name, email=claim.email)
    if identity_secret is None or claim.hmac is None:
        raise IdentityRefused("a user id needs its signature")
    if not is_users_signature(identity_secret, claim.user_id, claim.hmac):
        raise IdentityRefused("the signature of the user id is wrong")
    return Visitor(id=visitor, user=claim.user_id, name=claim.name, email=claim.email)
