"""Whose request it is: proven with the secret of each account it is about, through the real front door."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.x.settings import XSettings
from connectors.x.webhook import MAX_CRC_TOKEN, addresses, challenge, verify
from omnibus.channel.receive import Request, Unverified
from omnibus.channel.registry import load_channel
from omnibus.config.fields import Secret
from omnibus.testing.door import account_of, open_door

US, THEM = "1100000000000000001", "1100000000000000009"
Signed = Callable[..., tuple[bytes, dict[str, str]]]
Made = Callable[..., dict[str, Any]]


def settings(user_id: str = US, **given: str) -> XSettings:
    return XSettings(user_id=user_id, **{name: Secret(value) for name, value in given.items()})  # type: ignore[arg-type]  # all of them are secrets


def request(body: bytes, headers: dict[str, str]) -> Request:
    given = tuple((name.lower(), value) for name, value in headers.items())
    return Request(method="POST", path="/in/x", received_at=datetime(2026, 1, 5, tzinfo=UTC), body=body, headers=given)


def test_the_newer_signature_counts_where_we_can_check_it(signed: Signed, dm: Made) -> None:
    """A wrong newer one is not made good by a right older one: that would be a step back."""
    both = settings(client_secret="client", app_secret="app")
    body, headers = signed(dm("hi", "1"), "app")
    assert verify(request(body, headers), both) == "hmac"
    forged = headers | signed(dm("hi", "1"), "somebody else's", newer=True)[1]
    with pytest.raises(Unverified):
        verify(request(body, forged), both)
    assert verify(request(body, forged), settings(app_secret="app")) == "hmac"


def test_an_app_of_oauth2_takes_no_older_signature(signed: Signed, dm: Made) -> None:
    body, headers = signed(dm("hi", "1"), "client")
    with pytest.raises(Unverified):
        verify(request(body, headers), settings(client_secret="client"))


@pytest.mark.parametrize("asked", ["x" * (MAX_CRC_TOKEN + 1), '{"for_user_id":"11"}', ' {"data":{}}'])
def test_a_challenge_that_is_none_of_x_is_refused(asked: str) -> None:
    """Anybody may ask, and the answer is a signature: of what could be a request, nobody gets one."""
    request = Request(
        method="GET", path="/in/x", received_at=datetime(2026, 1, 5, tzinfo=UTC), query=(("crc_token", asked),)
    )
    with pytest.raises(Unverified):
        challenge(request, settings(client_secret="client"))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"for_user_id":"11"}', ["11"]),
        (b'{"data":{"filter":{"user_id":"12"}}}', ["12"]),
        (b'{"user_event":{}}', []),
        (b"nonsense", []),
        (b'{"for_user_id":11}', []),
    ],
)
def test_a_request_names_the_account_it_is_about(body: bytes, found: list[str]) -> None:
    assert list(addresses(request(body, {}))) == found


async def test_each_account_is_proven_with_its_own_secret_and_gets_its_own(
    tmp_path: Path, signed: Signed, dm: Made
) -> None:
    """Two accounts of one app, and a third of another: at one address, and at its own."""
    channel = load_channel("connectors.x")
    accounts = {
        "first": account_of(channel, settings(US, app_secret="app one"), "first"),
        "second": account_of(channel, settings(THEM, app_secret="app one"), "second"),
        "other": account_of(channel, settings("1100000000000000055", app_secret="app two"), "other"),
    }
    async with open_door(tmp_path, accounts) as door, aiohttp.ClientSession() as client:

        async def send(account: str, body: Any, secret: str) -> int:
            data, headers = signed(body, secret)
            async with client.post(f"{door.url}/in/{account}", data=data, headers=headers) as answer:
                return answer.status

        assert await send("first", dm("to the first", "1"), "app one") == 200
        assert await send("first", dm("to the second", "2", us=THEM), "app one") == 200
        assert await send("other", dm("to the third", "3", us="1100000000000000055"), "app two") == 200
        # Who knows one app's secret speaks for no account of another.
        assert await send("first", dm("not to the third", "4", us="1100000000000000055"), "app one") == 200
        assert await send("other", dm("nobody", "5"), "app one") == 401
        stored = [
            (raw.account, json.loads(raw.body)["direct_message_events"][0]["id"]) for raw in await door.stored("x")
        ]

    assert sorted(stored) == [("first", "1"), ("first", "4"), ("other", "3"), ("second", "2")]


async def test_x_asks_and_is_answered_through_the_front_door(tmp_path: Path) -> None:
    channel = load_channel("connectors.x")
    accounts = {"x": account_of(channel, settings(client_secret="client", app_secret="app"), "x")}
    async with open_door(tmp_path, accounts) as door, aiohttp.ClientSession() as client:
        async with client.get(f"{door.url}/in/x", params={"crc_token": "challenge"}) as answer:
            given = (answer.status, answer.content_type, await answer.json())
        async with client.get(f"{door.url}/in/x", params={"crc_token": '{"for_user_id":"11"}'}) as answer:
            assert answer.status == 401
        async with client.get(f"{door.url}/in/x") as answer:
            assert answer.status == 405
    expected = base64.b64encode(hmac.new(b"client", b"challenge", hashlib.sha256).digest()).decode()
    assert given == (200, "application/json", {"response_token": f"sha256={expected}"})
