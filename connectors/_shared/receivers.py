"""Ready-made webhook descriptions for the common ways of proving a sender.

`field` names the setting with the secret: one Secret, several (rotation), or None where the account asks for no proof.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from connectors._shared import signatures
from connectors._shared.signatures import FIVE_MINUTES, Algorithm, Encoding
from omnibus.channel.receive import Request, Verdict, Webhook
from omnibus.config.fields import Secret

Signed = Callable[[Request], bytes]
"""The bytes a provider signs."""


def webhook_with_token(header: str, field: str = "webhook_secret", **more: Any) -> Webhook:
    """The provider repeats a secret in a header; `more` are further fields of the Webhook (challenge, answer ...)."""
    name = header.lower()

    def verify(request: Request, settings: Any) -> Verdict:
        if not (secrets := secrets_of(settings, field)):
            return "none"
        signatures.check_token(secrets, request.header(name))
        return "token"

    return Webhook(verify=verify, secret_headers=frozenset({name}), **more)


def webhook_with_bearer(field: str = "webhook_secret", **more: Any) -> Webhook:
    """The provider sends ``Authorization: Bearer <secret>``."""

    def verify(request: Request, settings: Any) -> Verdict:
        if not (secrets := secrets_of(settings, field)):
            return "none"
        signatures.check_bearer(secrets, request.header("authorization"))
        return "token"

    return Webhook(verify=verify, **more)


def webhook_with_basic(user_field: str = "webhook_user", field: str = "webhook_password", **more: Any) -> Webhook:
    """The provider sends user and password (RFC 7617)."""

    def verify(request: Request, settings: Any) -> Verdict:
        user = getattr(settings, user_field)
        if not (secrets := secrets_of(settings, field)):
            return "none"
        signatures.check_basic(user or "", secrets[0], request.header("authorization"))
        return "token"

    return Webhook(verify=verify, **more)


def webhook_with_hmac(
    header: str,
    field: str = "app_secret",
    *,
    prefix: str = "",
    encoding: Encoding = "hex",
    algorithm: Algorithm = "sha256",
    signed: Signed = lambda request: request.body,
    **more: Any,
) -> Webhook:
    """The provider signs the body, or what `signed` makes of the request (Meta: prefix ``sha256=``)."""
    name = header.lower()

    def verify(request: Request, settings: Any) -> Verdict:
        if not (secrets := secrets_of(settings, field)):
            return "none"
        signatures.check_hmac(
            secrets, signed(request), request.header(name), prefix=prefix, encoding=encoding, algorithm=algorithm
        )
        return "hmac"

    return Webhook(verify=verify, **more)


def webhook_with_timestamped_hmac(
    header: str,
    timestamp_header: str,
    field: str = "signing_secret",
    *,
    template: str = "v0:{timestamp}:",
    prefix: str = "v0=",
    encoding: Encoding = "hex",
    window: timedelta = FIVE_MINUTES,
    **more: Any,
) -> Webhook:
    """The provider signs `template` and the body, and the time is part of it (the defaults are Slack's).

    https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    name, timestamp_name = header.lower(), timestamp_header.lower()

    def verify(request: Request, settings: Any) -> Verdict:
        if not (secrets := secrets_of(settings, field)):
            return "none"
        timestamp = signatures.check_timestamp(request.header(timestamp_name), request.received_at, window)
        signed = template.format(timestamp=timestamp).encode() + request.body
        signatures.check_hmac(secrets, signed, request.header(name), prefix=prefix, encoding=encoding)
        return "hmac"

    return Webhook(verify=verify, **more)


def webhook_with_standard_signature(field: str = "webhook_secret", **more: Any) -> Webhook:
    """The provider follows Standard Webhooks."""

    def verify(request: Request, settings: Any) -> Verdict:
        if not (secrets := secrets_of(settings, field)):
            return "none"
        signatures.check_standard_webhooks(secrets, request)
        return "hmac"

    return Webhook(verify=verify, **more)


def secrets_of(settings: Any, field: str) -> tuple[Secret, ...]:
    """The secrets a setting holds, as a tuple."""
    value = getattr(settings, field)
    if value is None:
        return ()
    return (value,) if isinstance(value, Secret) else tuple(value)
