"""Handshake and signature of an app, whichever of its channels they are for."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from hmac import new

import msgspec
import pytest

from connectors._shared.meta.webhook import meta_webhook
from omnibus.channel.receive import Request, Unverified
from omnibus.config.fields import Secret


class AppSettings(msgspec.Struct, frozen=True, kw_only=True):
    app_secret: Secret = Secret("secret-of-the-app")
    previous_app_secret: Secret | None = None
    verify_token: Secret = Secret("word-of-ours")


WEBHOOK = meta_webhook(lambda _request: (), lambda _settings: None)
AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


def asked(**query: str) -> Request:
    named = tuple((f"hub.{name}", value) for name, value in query.items())
    return Request(method="GET", path="/in/page", received_at=AT, query=named)


def signed(body: bytes, secret: str, scheme: str = "sha256=") -> Request:
    header = f"{scheme}{new(secret.encode(), body, sha256).hexdigest()}"
    return Request(
        method="POST", path="/in/page", received_at=AT, body=body, headers=(("x-hub-signature-256", header),)
    )


def test_the_challenge_comes_back_to_who_knows_the_word() -> None:
    answer = WEBHOOK.challenge(asked(mode="subscribe", challenge="17", verify_token="word-of-ours"), AppSettings())
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"17")


@pytest.mark.parametrize(
    "query",
    [
        {"mode": "subscribe", "challenge": "17"},
        {"mode": "subscribe", "challenge": "17", "verify_token": "another"},
        {"mode": "subscribe", "challenge": "17", "verify_token": "wörd"},
        {"mode": "unsubscribe", "challenge": "17", "verify_token": "word-of-ours"},
    ],
)
def test_nobody_else_gets_an_answer(query: dict[str, str]) -> None:
    with pytest.raises(Unverified):
        WEBHOOK.challenge(asked(**query), AppSettings())


def test_what_is_no_handshake_is_none() -> None:
    assert WEBHOOK.challenge(asked(), AppSettings()) is None
    assert WEBHOOK.challenge(signed(b"{}", "secret-of-the-app"), AppSettings()) is None


def test_both_secrets_count_while_the_app_secret_is_reset() -> None:
    settings = AppSettings(previous_app_secret=Secret("former-secret"))
    assert WEBHOOK.verify(signed(b"{}", "secret-of-the-app"), settings) == "hmac"
    assert WEBHOOK.verify(signed(b"{}", "former-secret"), settings) == "hmac"
    with pytest.raises(Unverified):
        WEBHOOK.verify(signed(b"{}", "former-secret"), AppSettings())


def test_the_older_signature_proves_nothing() -> None:
    """Meta still sends SHA-1 beside it; a request that has only that one is refused."""
    with pytest.raises(Unverified):
        WEBHOOK.verify(signed(b"{}", "secret-of-the-app", "sha1="), AppSettings())
