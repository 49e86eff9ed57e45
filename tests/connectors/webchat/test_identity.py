"""Signatures: good for one purpose, one account and a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._shared.live.frames import UploadedFile
from connectors.webchat.identity import IdentityRefused, Signer, verified
from connectors.webchat.protocol import UserClaim

NOW = 1_767_603_600_000
YEAR_MS = int(timedelta(days=366).total_seconds() * 1000)
SIGNER = Signer("invented-cookie-secret", "site")


def test_a_token_names_its_visitor_for_a_year() -> None:
    token = SIGNER.token("ab" * 16, NOW)
    assert SIGNER.visitor_of(token, NOW) == "ab" * 16
    assert SIGNER.visitor_of(token, NOW + YEAR_MS) is None


def test_a_token_of_another_account_or_secret_is_nothing() -> None:
    token = SIGNER.token("ab" * 16, NOW)
    assert Signer("invented-cookie-secret", "other").visitor_of(token, NOW) is None
    assert Signer("another-secret", "site").visitor_of(token, NOW) is None


def test_a_session_is_no_token_and_a_token_no_session() -> None:
    session, token = SIGNER.session("v:1", NOW), SIGNER.token("ab" * 16, NOW)
    assert SIGNER.thread_of(session, NOW) == "v:1"
    assert SIGNER.thread_of(token, NOW) is None
    assert SIGNER.visitor_of(session, NOW) is None
    assert SIGNER.visitor_of("v1" + session[2:], NOW) is None
    assert SIGNER.thread_of(session, NOW + YEAR_MS) is None


def test_a_link_stays_the_same_within_an_hour_and_ends_after_a_day() -> None:
    link = SIGNER.link("a" * 64, "box.png", "image/png", NOW)
    assert SIGNER.link("a" * 64, "box.png", "image/png", NOW + 1_000) == link
    assert SIGNER.is_link(link, "a" * 64, "box.png", "image/png", NOW)
    assert not SIGNER.is_link(link, "b" * 64, "box.png", "image/png", NOW)
    assert not SIGNER.is_link(link, "a" * 64, "box.png", "image/png", NOW + 26 * 3_600_000)


def test_a_ticket_is_for_one_thread() -> None:
    uri = "blob:sha256:" + "a" * 64
    ticket = SIGNER.ticket("v:1", uri, "box.png", "image/png", 10)
    file = UploadedFile(uri=uri, name="box.png", mime="image/png", size=10, ticket=ticket)
    assert SIGNER.is_ticket("v:1", file)
    assert not SIGNER.is_ticket("v:2", file)


@given(st.text(max_size=300))
def test_nonsense_is_nobody(text: str) -> None:
    assert SIGNER.visitor_of(text, NOW) is None
    assert SIGNER.thread_of(text, NOW) is None
    assert not SIGNER.is_link(text, "a" * 64, "n", "m", NOW)


def test_a_name_alone_proves_nothing_and_is_kept_as_said() -> None:
    visitor = verified("v1", UserClaim(name="Ana", email="ana@example.com"), None)
    assert (visitor.thread, visitor.user, visitor.name) == ("v:v1", None, "Ana")


@pytest.mark.parametrize("secret", [None, "invented-identity-secret"])
def test_a_user_id_needs_its_signature(secret: str | None) -> None:
    with pytest.raises(IdentityRefused):
        verified("v1", UserClaim(user_id="customer-17"), secret)
    with pytest.raises(IdentityRefused):
        verified("v1", UserClaim(user_id="customer-17", hmac="0" * 64), secret)
