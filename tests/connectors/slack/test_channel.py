"""Whose request it is, and when it counts."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from connectors.slack.channel import CHANNEL, SlackSettings
from connectors.slack.place import Place, place_named, ts_in
from connectors.slack.webhook import challenge, teams
from omnibus import clock
from omnibus.channel.receive import Request, Unverified, Webhook
from omnibus.config.fields import Secret
from omnibus.errors import InvalidPayload
from omnibus.testing.door import account_of, open_door

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def settings(secret: str = "invented-signing-secret", team: str | None = None) -> SlackSettings:
    return SlackSettings(bot_token=Secret("invented-bot-token"), signing_secret=Secret(secret), team_id=team)


def signed(body: bytes, at: datetime = NOW, secret: str = "invented-signing-secret") -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": f"v0={digest}",
    }


def request(body: bytes, headers: dict[str, str]) -> Request:
    return Request(method="POST", path="/in/helpdesk", received_at=NOW, body=body, headers=tuple(headers.items()))


def message(team: str, text: str = "hi") -> bytes:
    event = {"type": "message", "user": "U0EXAMPLE1", "text": text, "ts": "1767603600.000100", "channel": "D0EXAMPLE1"}
    whole = {"type": "event_callback", "team_id": team, "api_app_id": "A0EXAMPLE1", "event_id": "Ev1", "event": event}
    return json.dumps(whole).encode()


def webhook() -> Webhook:
    way = CHANNEL.receive["webhook"]
    assert isinstance(way, Webhook)
    return way


@pytest.mark.parametrize("age", [timedelta(minutes=-6), timedelta(minutes=6)])
def test_a_request_recorded_earlier_does_not_count(age: timedelta) -> None:
    """The time is signed: https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    body = message("T0EXAMPLE1")
    with pytest.raises(Unverified, match="too far from now"):
        webhook().verify(request(body, signed(body, NOW + age)), settings())


@pytest.mark.parametrize("age", [timedelta(minutes=-4), timedelta(minutes=4)])
def test_clocks_may_differ_a_little(age: timedelta) -> None:
    body = message("T0EXAMPLE1")
    assert webhook().verify(request(body, signed(body, NOW + age)), settings()) == "hmac"


def test_words_that_speak_of_the_handshake_are_none() -> None:
    assert challenge(request(message("T0EXAMPLE1", "what is url_verification?"), {}), settings()) is None


@pytest.mark.parametrize("body", [b"", b"{", b"payload=%7B", b"payload=[]", b"a=b", b"\xff", b"[" * 50_000])
def test_garbage_belongs_to_no_workspace(body: bytes) -> None:
    assert teams(request(body, {})) == ()


async def test_two_apps_have_secrets_of_their_own(tmp_path: Path) -> None:
    """A request is proven with its account's secret, and belongs to that account."""
    accounts = {
        "helpdesk": account_of(CHANNEL, settings("invented-secret-one"), "helpdesk"),
        "partners": account_of(CHANNEL, settings("invented-secret-two"), "partners"),
    }
    body = message("T0EXAMPLE1")
    async with open_door(tmp_path, accounts) as door, aiohttp.ClientSession() as client:
        with clock.use(clock.ManualClock(NOW)):
            for path, secret, status in (
                ("helpdesk", "invented-secret-one", 200),
                ("partners", "invented-secret-one", 401),
                ("partners", "invented-secret-two", 200),
            ):
                headers = signed(body, secret=secret)
                async with client.post(f"{door.url}/in/{path}", data=body, headers=headers) as answer:
                    assert answer.status == status
        assert sorted(raw.account for raw in await door.stored("slack")) == ["helpdesk", "partners"]


async def test_one_app_in_two_workspaces_has_one_address(tmp_path: Path) -> None:
    accounts = {
        "north": account_of(CHANNEL, settings(team="T0EXAMPLE1"), "north"),
        "south": account_of(CHANNEL, settings(team="T0EXAMPLE2"), "south"),
    }
    async with open_door(tmp_path, accounts) as door, aiohttp.ClientSession() as client:
        with clock.use(clock.ManualClock(NOW)):
            for body in (message("T0EXAMPLE1"), message("T0EXAMPLE2")):
                async with client.post(f"{door.url}/in/north", data=body, headers=signed(body)) as answer:
                    assert answer.status == 200
        stored = {raw.account: raw.body for raw in await door.stored("slack")}
        assert stored == {"north": message("T0EXAMPLE1"), "south": message("T0EXAMPLE2")}


@pytest.mark.parametrize("place", [Place("D0EXAMPLE1"), Place("C0EXAMPLE1", "1767603600.000100"), Place("U0EXAMPLE1")])
def test_a_thread_key_leads_back_to_its_place(place: Place) -> None:
    assert place_named(place.thread) == place
    assert ts_in(place.native_id("1.2"), place.channel) == "1.2"


@pytest.mark.parametrize("thread", ["workspace", "", "C0EXAMPLE1:", "c0:1.2", "C0EXAMPLE1:1.2:3", "C0EXAMPLE1\n"])
def test_a_thread_key_of_another_channel_is_refused(thread: str) -> None:
    with pytest.raises(InvalidPayload):
        place_named(thread)
