"""Who uses a device: what the company's server vouches for, and the sessions we give in exchange."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from connectors._shared.live.frames import Locale, Short, UserId
from connectors._shared.live.signing import LiveSigner, is_users_signature
from connectors.app.protocol import Registration
from connectors.app.settings import AppSettings
from omnibus.channel.receive import Unverified
from omnibus.errors import Misconfigured

if TYPE_CHECKING:
    from types import ModuleType

CLOCK_SKEW_S = 60
"""How far the clock of the server that signs may be from ours."""
MAX_SESSION_CHARS = 4_000


class IdentityRefused(Unverified):
    """Nobody vouches for this user; we do not serve somebody's history on a claim."""


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Somebody on a device. With `verified: jwt` the company vouches for name and email, too; else they are said."""

    user: str
    device: str
    verified: Literal["jwt", "hmac"]
    expires_s: int
    name: str | None = None
    email: str | None = None
    locale: str | None = None
    platform: str = "other"
    app_version: str | None = None

    @property
    def thread(self) -> str:
        """The native thread: a person's, on all of their devices."""
        return f"u:{self.user}"


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of a token that we read (https://www.rfc-editor.org/rfc/rfc7519#section-4.1, and OpenID's names)."""

    sub: UserId
    exp: float
    nbf: float = 0
    name: Short | None = None
    email: Short | None = None
    locale: Locale | None = None


class Sessions(LiveSigner):
    """Makes and checks sessions, links and tickets of one account."""

    def __init__(self, secret: str, account: str) -> None:
        super().__init__("app", secret, account)

    def session(self, person: Person) -> str:
        """What a device shows from now on, until the person's `expires_s`."""
        said = urlsafe_b64encode(_encoder.encode(person)).decode()
        return f"{said}.{self.sign('session', said)}"

    def person_of(self, session: str | None, now_ms: int) -> Person | None:
        """The person whose valid session this is; None for anything else."""
        said, _, signature = (session or "").partition(".")
        if len(said) > MAX_SESSION_CHARS or not signature or not self.is_signed(signature, "session", said):
            return None
        person = _decoder.decode(urlsafe_b64decode(said))
        return person if person.expires_s * 1000 > now_ms else None


class Identities:
    """Checks who a device says its user is, as the account's settings ask for. Raises Misconfigured without a key."""

    def __init__(self, settings: AppSettings) -> None:
        self._settings = settings
        self._life_s = settings.session_life // timedelta(seconds=1)

    def person(self, registration: Registration, now_ms: int) -> Person:
        """Raises IdentityRefused."""
        if self._settings.identity == "jwt":
            return self._by_token(registration, now_ms)
        return self._by_signature(registration, now_ms)

    def _by_token(self, registration: Registration, now_ms: int) -> Person:
        if registration.token is None:
            raise IdentityRefused("a token is needed")
        claims = self._claims(registration.token)
        if claims.exp + CLOCK_SKEW_S <= now_ms / 1000:
            raise IdentityRefused("the token has expired")
        if claims.nbf - CLOCK_SKEW_S > now_ms / 1000:
            raise IdentityRefused("the token is not valid yet")
        return self._person(registration, "jwt", claims.sub, claims.name, claims.email, claims.locale, now_ms)

    def _by_signature(self, registration: Registration, now_ms: int) -> Person:
        user, secret = registration.user, self._settings.identity_secret
        if user is None:
            raise IdentityRefused("a user id and its signature are needed")
        if secret is None or not is_users_signature(secret.reveal(), user.id, user.hmac):
            raise IdentityRefused("the signature of the user id is wrong")
        return self._person(registration, "hmac", user.id, user.name, user.email, None, now_ms)

    def _person(
        self,
        registration: Registration,
        verified: Literal["jwt", "hmac"],
        user: str,
        name: str | None,
        email: str | None,
        locale: str | None,
        now_ms: int,
    ) -> Person:
        return Person(
            user=user,
            device=registration.device_id,
            verified=verified,
            expires_s=now_ms // 1000 + self._life_s,
            name=name,
            email=email,
            locale=registration.locale or locale,
            platform=registration.platform,
            app_version=registration.app_version,
        )

    def _claims(self, token: str) -> Claims:
        """The algorithm is the account's, never the token's: a public key must not pass for an HS256 secret.

        Times are checked by our own clock, not by the library's.
        """
        jwt = _library()
        options: Any = {"require": ["sub", "exp"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        key, algorithm = self._key()
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._settings.jwt_issuer,
                audience=self._settings.jwt_audience,
                options=options,
            )
            return msgspec.convert(claims, Claims)
        except jwt.InvalidKeyError:
            raise Misconfigured("identity_secret or identity_public_key", f"no key for {algorithm}") from None
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError) as error:
            raise IdentityRefused(f"the token is refused: {type(error).__name__}") from None

    def _key(self) -> tuple[str, str]:
        if self._settings.identity_public_key is not None:
            return self._settings.identity_public_key, "RS256"
        secret = self._settings.identity_secret
        if secret is None:
            raise Misconfigured("identity_secret", "tokens need a key")
        return secret.reveal(), "HS256"


def _library() -> ModuleType:
    """Loaded with the first token: accounts with signed user ids need none of it."""
    try:
        import jwt
    except ImportError as error:
        raise Misconfigured("identity", "tokens need pyjwt: pip install 'omnibus[jwt]'") from error
    return jwt


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Person)
