"""Signatures as X's own example has them."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from connectors.x.oauth import authorization, encoded, signature
from connectors.x.settings import XSettings
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured

EXAMPLE = {  # https://docs.x.com/fundamentals/authentication/oauth-1-0a/creating-a-signature
    "include_entities": "true",
    "status": "Hello Ladies + Gentlemen, a signed OAuth request!",
    "oauth_consumer_key": "xvz1evFS4wEEPTGEFPHBog",
    "oauth_nonce": "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
    "oauth_signature_method": "HMAC-SHA1",
    "oauth_timestamp": "1318622958",
    "oauth_token": "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
    "oauth_version": "1.0",
}
KEY = ("kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw", "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE")


def settings(**given: str) -> XSettings:
    return XSettings(user_id="11", **{name: Secret(value) for name, value in given.items()})  # type: ignore[arg-type]  # all of them are secrets


def test_the_signature_is_that_of_the_documentation() -> None:
    assert (
        signature("post", "https://api.x.com/1.1/statuses/update.json", EXAMPLE, KEY) == "Ls93hJiZbQ3akF3HF3x1Bz8/zU4="
    )


def test_percent_encoding_is_that_of_rfc_3986() -> None:
    """https://www.rfc-editor.org/rfc/rfc5849#section-3.6"""
    assert encoded("Ladies + Gentlemen / ~é") == "Ladies%20%2B%20Gentlemen%20%2F%20~%C3%A9"


def test_the_parameters_of_the_address_are_signed() -> None:
    ours = settings(app_secret="a", api_key="k", access_token="t", access_token_secret="s")
    with_query = authorization(ours, "GET", "https://api.x.com/2/media/upload", {"media_id": "1"})
    fields = dict(re.findall(r'(oauth_\w+)="([^"]*)"', with_query))
    signed = {name: value for name, value in fields.items() if name != "oauth_signature"} | {"media_id": "1"}
    expected = signature("GET", "https://api.x.com/2/media/upload", signed, ("a", "s"))
    assert unquote(fields["oauth_signature"]) == expected
    assert fields["oauth_token"] == "t"


def test_a_token_without_a_secret_is_one_of_oauth2() -> None:
    assert authorization(settings(client_secret="c", access_token="t"), "GET", "https://api.x.com/2", {}) == "Bearer t"


def test_without_a_token_the_operator_is_told() -> None:
    with pytest.raises(Misconfigured, match="access_token"):
        authorization(settings(client_secret="c"), "GET", "https://api.x.com/2", {})


@pytest.mark.parametrize("given", [{}, {"client_secret": "c", "access_token": "t", "access_token_secret": "s"}])
def test_settings_that_cannot_work_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        settings(**given)
