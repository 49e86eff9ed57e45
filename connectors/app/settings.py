"""The settings of one app account."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from connectors._shared.live.settings import Count, LiveSettings
from omnibus.config.fields import Duration, Secret, Url, between, described

LEAST_SECRET_BYTES = 32
"""A key for HS256 must be as long as the hash, https://www.rfc-editor.org/rfc/rfc7518#section-3.2"""


class AppSettings(LiveSettings, frozen=True, kw_only=True):
    """One app: who vouches for its users, and how they are told of messages while it sleeps."""

    session_secret: Annotated[
        Secret,
        described("Signs sessions and file links of devices. Changing it makes every device register again."),
    ]
    identity: Annotated[
        Literal["jwt", "hmac"],
        described("How your server vouches for a user: a JSON Web Token that expires, or a signature of the user id."),
    ] = "jwt"
    identity_secret: Annotated[
        Secret | None,
        described("Key your server signs with, at least 32 bytes: HS256 tokens, or user ids (HMAC-SHA256)."),
    ] = None
    identity_public_key: Annotated[
        str | None,
        described("Public key (PEM) of the RS256 tokens your server signs; instead of identity_secret."),
    ] = None
    jwt_issuer: Annotated[str | None, described("The `iss` that tokens must have; none asks for none.")] = None
    jwt_audience: Annotated[
        str | None, described("The `aud` that tokens must have; without it a token may not have one.")
    ] = None
    session_life: Annotated[
        Duration, between("5m", "30d"), described("How long a device may go on before your server vouches again.")
    ] = timedelta(days=1)
    push_url: Annotated[
        Url | None,
        described("Address of your server that is told of messages no open app has taken; it wakes the devices."),
    ] = None
    push_secret: Annotated[
        Secret | None, described("Signs what goes to push_url, as Standard Webhooks has it. Needed with push_url.")
    ] = None
    push_after: Annotated[
        Duration,
        between("0s", "5m"),
        described("How long an open app has to confirm a message before push_url is told."),
    ] = timedelta(seconds=3)
    push_preview: Annotated[
        bool, described("Let push_url have the words of a message, not only that there is one.")
    ] = False
    allow_private: Annotated[bool, described("Let push_url be on this machine or in a private network.")] = False
    max_connections_per_person: Annotated[Count, described("Open lines (devices) of one person.")] = 10

    def __post_init__(self) -> None:
        if self.identity_secret is not None and len(self.identity_secret.reveal().encode()) < LEAST_SECRET_BYTES:
            raise ValueError(f"identity_secret must have at least {LEAST_SECRET_BYTES} bytes")
        if self.identity == "hmac" and (self.identity_secret is None or self.identity_public_key is not None):
            raise ValueError("identity: hmac needs identity_secret, and takes no identity_public_key")
        if self.identity == "jwt" and (self.identity_secret is None) == (self.identity_public_key is None):
            raise ValueError("identity: jwt needs either identity_secret (HS256) or identity_public_key (RS256)")
        if self.identity_public_key is not None and "-----BEGIN PUBLIC KEY-----" not in self.identity_public_key:
            raise ValueError("identity_public_key must be a public key in PEM: -----BEGIN PUBLIC KEY-----")
        if (self.push_url is None) != (self.push_secret is None):
            raise ValueError("push_url and push_secret belong together")

    @property
    def receive(self) -> tuple[str, ...]:
        """The receive ways of this account: without push_url nobody has to be told of anything."""
        return ("line",) if self.push_url is None else ("line", "push")
