"""Who is woken: the devices of somebody whose message no open app has taken, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from omnibus.config.fields import Secret
from omnibus.model import content as c
from omnibus.testing.served import served

if TYPE_CHECKING:
    from tests.connectors.app.conftest import Installation

Made = Callable[..., Any]
PUSH_SECRET = "whsec_aW52ZW50ZWQtcHVzaC1zZWNyZXQtb2YtdGhlLXRlc3Q="


@dataclass
class Company:
    """The company's server: notes what it is told, and answers as it is asked to."""

    url: str = ""
    told: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    calls: int = 0

    async def take(self, request: web.Request) -> web.Response:
        self.calls += 1
        body = await request.text()
        push: dict[str, Any] = Webhook(PUSH_SECRET).verify(body, dict(request.headers))
        status, answer = self.answers.pop(0) if self.answers else (200, {})
        if status == 200:
            self.told.put_nowait(push)
        return web.json_response(answer, status=status)

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            return await self.told.get()


@pytest.fixture
async def company() -> AsyncIterator[Company]:
    company = Company()
    app = web.Application()
    app.router.add_post("/push", company.take)
    async with served(app) as url:
        company.url = f"{url}/push"
        yield company


@pytest.fixture
async def pushing(tmp_path: Path, company: Company, install: Made, settings_of: Made) -> AsyncIterator[Installation]:
    """An account that tells the company's server at once."""
    settings = settings_of(
        push_url=company.url, push_secret=Secret(PUSH_SECRET), push_after=timedelta(0), allow_private=True
    )
    async with install(tmp_path, app=settings) as installation:
        yield installation


async def test_a_message_wakes_the_devices_of_the_person_and_says_nothing_of_it(
    pushing: Installation, company: Company
) -> None:
    await pushing.registered(push_token="apns-1", platform="ios")
    await pushing.registered(device="tablet-001", push_token="fcm-2", platform="android")
    await pushing.registered(device="watch-0001")
    await pushing.registered("customer-18", "phone-0002", push_token="of somebody else")
    await pushing.reply(c.Text(text="Your parcel is here"), "msg_1")
    push = await company.next()

    assert (push["id"], push["user_id"], push["author"], push["name"]) == ("msg_1", "customer-17", "agent", "Bruno")
    assert push["devices"] == [
        {"device_id": "phone-0001", "platform": "ios", "push_token": "apns-1"},
        {"device_id": "tablet-001", "platform": "android", "push_token": "fcm-2"},
    ]
    assert "parcel" not in str(push)


async def test_what_the_person_writes_and_what_was_delivered_wakes_nobody(
    tmp_path: Path, company: Company, install: Made, settings_of: Made
) -> None:
    """The open app confirms the first message within push_after; only the second one is told of."""
    settings = settings_of(
        push_url=company.url,
        push_secret=Secret(PUSH_SECRET),
        push_after=timedelta(seconds=2),
        push_preview=True,
        allow_private=True,
    )
    async with install(tmp_path, app=settings) as pushing:
        phone = await pushing.registered(push_token="apns-1")
        phone.write("hi")
        await phone.flush()
        await pushing.reply(c.Text(text="seen"), "msg_1")
        await phone.receipt(["msg_1"], "delivered")
        await pushing.reply(c.Text(text="not seen"), "msg_2")
        push = await company.next()

    assert (push["id"], push["text"]) == ("msg_2", "not seen")
    assert company.calls == 1


async def test_a_push_token_that_is_no_longer_good_is_forgotten(pushing: Installation, company: Company) -> None:
    await pushing.registered(push_token="old")
    await pushing.registered(device="tablet-001", push_token="good")
    company.answers.append((200, {"gone": ["phone-0001", "of-nobody-1"]}))
    await pushing.reply(c.Text(text="one"), "msg_1")
    assert len((await company.next())["devices"]) == 2
    await pushing.reply(c.Text(text="two"), "msg_2")

    assert [device["push_token"] for device in (await company.next())["devices"]] == ["good"]


async def test_a_phone_that_changes_hands_is_woken_for_its_new_user_only(
    pushing: Installation, company: Company
) -> None:
    """The first user never logged out."""
    await pushing.registered("customer-17", push_token="apns-1")
    await pushing.registered("customer-18", push_token="apns-1")
    await pushing.reply(c.Text(text="for the first"), "msg_1", "u:customer-17")
    await pushing.reply(c.Text(text="for the second"), "msg_2", "u:customer-18")
    assert (await company.next())["id"] == "msg_2"


async def test_who_logs_out_is_woken_no_more(pushing: Installation, company: Company) -> None:
    phone = await pushing.registered(push_token="apns-1")
    await pushing.registered("customer-18", "phone-0002", push_token="apns-2")
    await phone.unregister()
    await pushing.reply(c.Text(text="nobody is there"), "msg_1")
    await pushing.reply(c.Text(text="hello"), "msg_2", "u:customer-18")
    assert (await company.next())["id"] == "msg_2"


async def test_a_refusal_is_given_up_and_a_failure_is_tried_again(pushing: Installation, company: Company) -> None:
    """400 is final; after 503 the pusher starts again, from where it was."""
    await pushing.registered(push_token="apns-1")
    company.answers += [(400, {}), (503, {})]
    await pushing.reply(c.Text(text="one"), "msg_1")
    await pushing.reply(c.Text(text="two"), "msg_2")

    assert (await company.next())["id"] == "msg_2"
    assert company.calls >= 3


async def test_the_21st_device_takes_the_place_of_the_oldest(pushing: Installation, company: Company) -> None:
    for number in range(22):
        await pushing.registered(device=f"phone-{number:04d}", push_token=f"token {number}")
    await pushing.reply(c.Text(text="hello"), "msg_1")
    tokens = {device["push_token"] for device in (await company.next())["devices"]}
    assert len(tokens) <= 21  # the table may be a moment behind the last registration
    assert {"token 20", "token 21"} <= tokens
    assert "token 0" not in tokens
