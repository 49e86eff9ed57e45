"""One request, several accounts: each gets what is its own, and only what its own secret proves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from connectors._ingress.sharing import Sharing
from connectors.webhook.channel import CHANNEL
from omnibus.channel.declaration import Account
from omnibus.channel.receive import ADDRESSES, Request, Unverified, Verdict, Webhook


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of an account that is one page of an app."""

    page: str
    secret: str = "of the first app"


def verify(request: Request, settings: Page) -> Verdict:
    if request.header("proof") != settings.secret:
        raise Unverified("the proof is wrong")
    return "hmac"


WEBHOOK = Webhook(
    verify=verify,
    addresses=lambda request: request.body.decode().split(),
    address=lambda settings: settings.page,
    attributes=lambda _request, settings: {"page": settings.page},
)
FIRST = Account(name="first", channel=CHANNEL, settings=Page(page="1"), inactivity=CHANNEL.inactivity)
SECOND = replace(FIRST, name="second", settings=Page(page="2"))
STRANGER = replace(FIRST, name="stranger", settings=Page(page="3", secret="of another app"))


def shared(body: str, *peers: Account) -> dict[str, str | None]:
    """Who gets a copy of a request to the first account, and the addresses it is for."""
    request = Request(
        method="POST",
        path="/in/first",
        received_at=datetime(2026, 1, 5, 9, tzinfo=UTC),
        body=body.encode(),
        headers=(("proof", "of the first app"),),
    )
    shares = Sharing(WEBHOOK, FIRST, (FIRST, *peers)).shares(request, "hmac")
    assert {share.verified for share in shares} == {"hmac"}
    return {share.account: share.attributes.get(ADDRESSES) for share in shares}


def test_an_account_alone_gets_everything() -> None:
    assert shared("1 2") == {"first": None}


def test_a_request_for_one_account_is_one_copy() -> None:
    assert shared("1", SECOND) == {"first": None}


def test_each_account_gets_its_own_part() -> None:
    assert shared("1 2", SECOND) == {"first": "1", "second": "2"}


def test_a_request_that_is_all_for_another_account_is_stored_there_alone() -> None:
    assert shared("2", SECOND) == {"second": "2"}


def test_what_belongs_to_nobody_stays_with_the_account_it_was_sent_to() -> None:
    assert shared("9 2", SECOND) == {"first": "9", "second": "2"}


def test_who_knows_one_secret_cannot_speak_for_an_account_with_another() -> None:
    assert shared("1 3", SECOND, STRANGER) == {"first": None}


def test_each_copy_has_the_attributes_of_its_account() -> None:
    request = Request(
        method="POST",
        path="/in/first",
        received_at=datetime(2026, 1, 5, 9, tzinfo=UTC),
        body=b"1 2",
        headers=(("proof", "of the first app"),),
    )
    shares = Sharing(WEBHOOK, FIRST, (SECOND,)).shares(request, "hmac")
    assert [share.attributes["page"] for share in shares] == ["1", "2"]
