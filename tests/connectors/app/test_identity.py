"""Who a device may speak for: those for whom the company's server vouches, and nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.app.identity import Identities, IdentityRefused, Person, Sessions
from connectors.app.protocol import Registration, UserClaim
from connectors.app.settings import AppSettings
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured

Made = Callable[..., Any]

SECRET = "invented-identity-secret-of-32-bytes-or-more"
NOW = 1_790_000_000_000
DEVICE = "phone-0001"
SESSIONS = Sessions("invented-session-secret", "app")
ANA = Person(user="customer-17", device=DEVICE, verified="jwt", expires_s=NOW // 1000 + 3_600, name="Ana Prado")


def identities(**changed: Any) -> Identities:
    base: dict[str, Any] = {"session_secret": Secret("invented"), "identity_secret": Secret(SECRET)}
    return Identities(AppSettings(**(base | changed)))


def with_token(token: str, **more: Any) -> Registration:
    return Registration(device_id=DEVICE, token=token, **more)


def test_a_token_says_who_it_is(token: Made) -> None:
    person = identities().person(with_token(token("customer-17", email="ana@example.com", locale="pt-BR")), NOW)
    assert (person.user, person.name, person.email, person.locale) == (
        "customer-17",
        "Ana Prado",
        "ana@example.com",
        "pt-BR",
    )
    assert (person.verified, person.thread, person.device) == ("jwt", "u:customer-17", DEVICE)
    assert person.expires_s == NOW // 1000 + 24 * 3_600


def test_a_token_of_the_company_s_private_key_does_as_well(token: Made, key_pair: tuple[str, str]) -> None:
    private, public = key_pair
    checks = identities(identity_secret=None, identity_public_key=public)
    assert checks.person(with_token(token("customer-17", key=private, algorithm="RS256")), NOW).user == "customer-17"


def test_a_public_key_never_passes_for_a_secret(key_pair: tuple[str, str]) -> None:
    """The classic: a token of HS256, signed with the public key that everybody has."""
    _, public = key_pair
    head, body = ({"alg": "HS256", "typ": "JWT"}, {"sub": "customer-17", "exp": NOW // 1000 + 60})
    signed = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (head, body)
    )
    signature = base64.urlsafe_b64encode(hmac.digest(public.encode(), signed.encode(), hashlib.sha256)).rstrip(b"=")
    with pytest.raises(IdentityRefused):
        identities(identity_secret=None, identity_public_key=public).person(
            with_token(f"{signed}.{signature.decode()}"), NOW
        )


def test_a_token_that_nobody_signed_is_refused() -> None:
    unsigned = (
        base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")
        + b"."
        + base64.urlsafe_b64encode(b'{"sub":"customer-17","exp":9999999999}').rstrip(b"=")
        + b"."
    )
    with pytest.raises(IdentityRefused):
        identities().person(with_token(unsigned.decode()), NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW // 1000 - 120},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": NOW // 1000 + 120},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\x00b"},
        {"sub": "x" * 200},
        {"aud": "somebody-else"},
        {"name": 17},
        {"key": "another-secret-of-the-same-length-as-ours"},
    ],
    ids=lambda claims: " ".join(f"{name}={value!r:.20}" for name, value in claims.items()),
)
def test_a_token_that_is_not_in_order_is_refused(token: Made, claims: dict[str, Any]) -> None:
    user = claims.pop("sub", "customer-17") if "sub" in claims else "customer-17"
    with pytest.raises(IdentityRefused):
        identities().person(with_token(token(user, **claims)), NOW)


def test_issuer_and_audience_are_asked_for_when_they_are_set(token: Made) -> None:
    checks = identities(jwt_issuer="https://id.example.com", jwt_audience="omnibus")
    good = token("customer-17", iss="https://id.example.com", aud="omnibus")
    assert checks.person(with_token(good), NOW).user == "customer-17"
    for wrong in ({}, {"iss": "https://id.example.com"}, {"iss": "https://evil.example.net", "aud": "omnibus"}):
        with pytest.raises(IdentityRefused):
            checks.person(with_token(token("customer-17", **wrong)), NOW)


@given(st.text(max_size=200))
def test_a_token_of_nonsense_is_refused(nonsense: str) -> None:
    with pytest.raises(IdentityRefused):
        identities().person(with_token(nonsense), NOW)


def test_a_signed_user_id_is_believed_and_what_comes_with_it_only_shown(signed: Made) -> None:
    claim = UserClaim(**signed("customer-17"), name="Ana", email="ana@example.com")
    person = identities(identity="hmac").person(Registration(device_id=DEVICE, user=claim), NOW)
    assert (person.user, person.verified, person.name) == ("customer-17", "hmac", "Ana")


def test_the_signature_of_another_user_is_refused(signed: Made) -> None:
    claim = UserClaim(id="customer-18", hmac=signed("customer-17")["hmac"])
    with pytest.raises(IdentityRefused):
        identities(identity="hmac").person(Registration(device_id=DEVICE, user=claim), NOW)


def test_one_kind_of_proof_is_never_taken_for_the_other(token: Made, signed: Made) -> None:
    """Somebody whose id looks like a token's first two parts must not get a token out of the id's signature."""
    with pytest.raises(IdentityRefused):
        identities(identity="hmac").person(with_token(token("customer-17")), NOW)
    claim = UserClaim(**signed("customer-17"))
    with pytest.raises(IdentityRefused):
        identities().person(Registration(device_id=DEVICE, user=claim), NOW)


def test_a_key_that_is_none_is_the_operator_s_matter(token: Made, key_pair: tuple[str, str]) -> None:
    broken = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    with pytest.raises(Misconfigured):
        identities(identity_secret=None, identity_public_key=broken).person(
            with_token(token("customer-17", key=key_pair[0], algorithm="RS256")), NOW
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"identity_secret": Secret("short")},
        {"identity_secret": None},
        {"identity": "hmac", "identity_secret": None},
        {"identity_public_key": "-----BEGIN PUBLIC KEY-----"},
        {"identity_secret": None, "identity_public_key": "ssh-rsa AAAA"},
        {"push_url": "https://push.example.com"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        identities(**wrong)


def test_a_session_is_its_person_s_until_it_ends() -> None:
    session = SESSIONS.session(ANA)
    assert SESSIONS.person_of(session, NOW) == ANA
    assert SESSIONS.person_of(session, NOW + int(timedelta(hours=2).total_seconds() * 1000)) is None


def test_a_session_of_another_account_or_secret_is_nobody() -> None:
    session = SESSIONS.session(ANA)
    assert Sessions("invented-session-secret", "other").person_of(session, NOW) is None
    assert Sessions("another", "app").person_of(session, NOW) is None


@given(st.text(max_size=300))
def test_nonsense_is_nobody(text: str) -> None:
    assert SESSIONS.person_of(text, NOW) is None
    assert SESSIONS.person_of(f"{text}.{text}", NOW) is None
