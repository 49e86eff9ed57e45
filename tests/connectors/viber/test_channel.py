"""What Viber gets back, whose callback it is, and what sending fixtures cannot say."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.viber.channel import ViberSettings
from connectors.viber.choices import chosen, tracking_of
from connectors.viber.send import ViberSender
from connectors.viber.webhook import answer, challenge
from omnibus.blobs import FolderBlobs
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Channel
from omnibus.channel.receive import Request
from omnibus.channel.registry import load_channel
from omnibus.channel.send import SenderTools
from omnibus.config.fields import Secret
from omnibus.errors import TryAgain
from omnibus.model.content import ChoiceResponse, Option, Text
from omnibus.testing.door import account_of, open_door
from omnibus.testing.provider import Call, ExpectedRequest, FakeProvider, ScriptedResponse
from omnibus.testing.sending import outbound_of

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
URL = "https://chatapi.viber.com/pa/send_message"


def channel() -> Channel:
    return load_channel("connectors.viber")


def settings(token: str = "invented-token", welcome: str | None = None) -> ViberSettings:
    return ViberSettings(bot_token=Secret(token), sender_name="Example", welcome=welcome)


def callback(event: str, **more: Any) -> bytes:
    return json.dumps({"event": event, "timestamp": 1767603600000, "message_token": 1, **more}).encode()


def request(body: bytes) -> Request:
    return Request(method="POST", path="/in/viber-gr", received_at=NOW, body=body)


def test_whoever_opens_the_chat_is_welcomed_in_the_answer() -> None:
    told = answer(request(callback("conversation_started")), settings(welcome="How can we help?"))
    assert json.loads(told.body) == {"sender": {"name": "Example"}, "type": "text", "text": "How can we help?"}
    assert told.content_type == "application/json"


@pytest.mark.parametrize(
    "body", [callback("message", message={"text": "conversation_started"}), b"{", b"", b"[" * 9_000]
)
def test_everybody_else_is_not(body: bytes) -> None:
    assert answer(request(body), settings(welcome="How can we help?")).body == b"ok"


def test_words_that_speak_of_the_handshake_are_none() -> None:
    assert challenge(request(callback("message", message={"text": '"webhook"'})), settings()) is None


async def test_two_bots_have_tokens_of_their_own(tmp_path: Path) -> None:
    accounts = {
        name: account_of(channel(), settings(f"invented-token-{name}"), name) for name in ("viber-gr", "viber-bg")
    }
    user = {"id": "01234567890A=", "name": "Ana"}
    body = callback("message", sender=user, message={"type": "text", "text": "hi"})
    async with open_door(tmp_path, accounts) as door, aiohttp.ClientSession() as client:
        for path, token, status in (
            ("viber-gr", "viber-gr", 200),
            ("viber-bg", "viber-gr", 401),
            ("viber-bg", "viber-bg", 200),
        ):
            signature = hmac.new(f"invented-token-{token}".encode(), body, hashlib.sha256).hexdigest()
            headers = {"X-Viber-Content-Signature": signature}
            async with client.post(f"{door.url}/in/{path}", data=body, headers=headers) as got:
                assert got.status == status
        assert sorted(raw.account for raw in await door.stored("viber")) == ["viber-bg", "viber-gr"]


async def test_only_the_missing_pieces_are_sent_again(tmp_path: Path) -> None:
    def call(body: Any) -> Call:
        return Call(request=ExpectedRequest(url=URL), response=ScriptedResponse(body=body))

    calls = [call({"status": 0, "message_token": 1}), call({"status": 99}), call({"status": 0, "message_token": 2})]
    provider = FakeProvider(calls)
    said = outbound_of(channel(), {"message": {"content": {"type": "text", "text": "A sentence. " * 1_000}}})
    async with provider.served() as http:
        account = account_of(channel(), settings())
        sender = ViberSender(SenderTools(account=account, http=http, blobs=FolderBlobs(tmp_path), topics=Topics()))
        with pytest.raises(TryAgain):
            await sender.send(said)
        assert (await sender.send(said)).native_ids == ("1", "2")
    assert not provider.problems


async def test_the_bot_says_who_it_is(tmp_path: Path) -> None:
    url = "https://chatapi.viber.com/pa/get_account_info"
    info = ScriptedResponse(body={"status": 0, "name": "Example Support"})
    async with FakeProvider([Call(request=ExpectedRequest(url=url), response=info)]).served() as http:
        account = account_of(channel(), settings())
        tools = SenderTools(account=account, http=http, blobs=FolderBlobs(tmp_path), topics=Topics())
        assert await ViberSender(tools).probe() == "Example Support"


def test_an_option_comes_back_as_it_was() -> None:
    tracking = tracking_of([Option(id="1", title="Order 1001"), Option(id="2", title="Order 1001")])
    assert chosen("Order 1001", tracking) == ChoiceResponse(option_id="1", title="Order 1001", payload="1")
    assert chosen("something else", tracking) == Text(text="something else")


@pytest.mark.parametrize("tracking", ["", "{", "[]", '{"options": 1}', "\ud800", "[" * 9_000])
def test_tracking_data_of_others_means_nothing(tracking: str) -> None:
    assert chosen("Order 1001", tracking) == Text(text="Order 1001")
