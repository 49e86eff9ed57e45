"""From a signed request at the front door to a reply that leaves: each chat channel through the whole pipeline."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from omnibus import clock
from omnibus.channel.registry import load_channel
from omnibus.testing.door import account_of, open_door
from omnibus.testing.fixtures import settings_from
from omnibus.testing.pipeline import API_TOKEN, Pipeline, pipeline
from omnibus.testing.ports import free_port
from omnibus.testing.served import served

USER = "U00000000000000000000000000000001"
QUEUE, OUTCOME = "omnibus.queue.general", "omnibus.events"

Headers = dict[str, str]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A channel: its settings, a signed request, the call a reply makes, and the provider's answer to it."""

    settings: Mapping[str, Any]
    secret: str
    body: Mapping[str, Any]
    sign: Callable[[bytes, str], Headers]
    path: str
    answer: Mapping[str, Any]
    said: Callable[[Any], str]
    native_id: str


def slack_signature(body: bytes, secret: str) -> Headers:
    timestamp = str(clock.now_ms() // 1000)
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": timestamp, "x-slack-signature": f"v0={digest}"}


def line_signature(body: bytes, secret: str) -> Headers:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {"x-line-signature": base64.b64encode(digest).decode()}


def viber_signature(body: bytes, secret: str) -> Headers:
    return {"x-viber-content-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def discord_signature(body: bytes, secret: str) -> Headers:
    timestamp = str(clock.now_ms() // 1000)
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())
    return {
        "x-signature-timestamp": timestamp,
        "x-signature-ed25519": key.sign(timestamp.encode() + body).hex(),
    }


def discord_key(secret: str) -> str:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())
    return key.public_key().public_bytes_raw().hex()


CASES = {
    "slack": Case(
        settings={"bot_token": "invented-token", "signing_secret": "{secret}", "api_url": "{url}"},
        secret="invented-signing-secret",
        body={
            "type": "event_callback",
            "team_id": "T0EXAMPLE1",
            "api_app_id": "A0EXAMPLE1",
            "event_id": "Ev1",
            "event": {
                "type": "message",
                "user": "U0EXAMPLE1",
                "text": "hi",
                "ts": "1767603600.000100",
                "channel": "D0EXAMPLE1",
            },
        },
        sign=slack_signature,
        path="/chat.postMessage",
        answer={"ok": True, "channel": "D0EXAMPLE1", "ts": "1767603602.000700"},
        said=lambda body: str(body["text"]),
        native_id="D0EXAMPLE1:1767603602.000700",
    ),
    "line": Case(
        settings={
            "app_secret": "{secret}",
            "access_token": "invented-token",
            "api_url": "{url}",
            "data_url": "{url}",
        },
        secret="invented-channel-secret",
        body={
            "destination": USER,
            "events": [
                {
                    "type": "message",
                    "timestamp": 1767603600000,
                    "source": {"type": "user", "userId": USER},
                    "replyToken": "invented-reply-token",
                    "webhookEventId": "01INVENTED",
                    "deliveryContext": {"isRedelivery": False},
                    "message": {"type": "text", "id": "468789577898262530", "text": "hi"},
                }
            ],
        },
        sign=line_signature,
        path="/v2/bot/message/reply",  # answered within a minute: for free
        answer={"sentMessages": [{"id": "461230966842064897"}]},
        said=lambda body: str(body["messages"][0]["text"]) if body["replyToken"] == "invented-reply-token" else "",
        native_id="461230966842064897",
    ),
    "viber": Case(
        settings={"bot_token": "{secret}", "sender_name": "Example", "api_url": "{url}"},
        secret="invented-viber-token",
        body={
            "event": "message",
            "timestamp": 1767603600000,
            "message_token": 4912661846655238145,
            "sender": {"id": "01234567890A=", "name": "Ana"},
            "message": {"type": "text", "text": "hi"},
        },
        sign=viber_signature,
        path="/pa/send_message",
        answer={"status": 0, "message_token": 5741311803571721087},
        said=lambda body: str(body["text"]) if body["receiver"] == "01234567890A=" else "",
        native_id="5741311803571721087",
    ),
    "discord": Case(
        settings={
            "bot_token": "invented-token",
            "receive": ["interactions"],
            "public_key": discord_key("invented-discord-key"),
            "api_url": "{url}",
        },
        secret="invented-discord-key",
        body={
            "id": "1457659891941376007",
            "type": 2,
            "channel_id": "1300000000000000101",
            "user": {"id": "1300000000000000301", "username": "ana"},
            "data": {"name": "hi"},
        },
        sign=discord_signature,
        path="/channels/1300000000000000101/messages",
        answer={"id": "1457000000000000000"},
        said=lambda body: str(body["content"]),
        native_id="1457000000000000000",
    ),
}


class Provider:
    """Answers every call alike, and keeps what was called."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.called: list[tuple[str, Any]] = []
        self._answer = dict(answer)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.called.append((request.path, await request.json()))
        return web.json_response(self._answer)


@asynccontextmanager
async def provider(case: Case) -> AsyncIterator[tuple[Provider, str]]:
    fake = Provider(case.answer)
    async with served(web.Server(fake.handle)) as url:
        yield fake, url


class Installation(Pipeline):
    """A running pipeline with one account."""

    def __init__(self, at: Pipeline) -> None:
        super().__init__(at.url, at.bus, at.session)

    async def post(self, body: bytes, headers: Headers) -> int:
        headers = {"content-type": "application/json", **headers}
        async with self.session.post(f"{self.url}/in/desk", data=body, headers=headers) as answer:
            return answer.status


@asynccontextmanager
async def installation(folder: Path, channel: str, settings: Mapping[str, Any]) -> AsyncIterator[Installation]:
    port = free_port()
    config = {
        "bus": f"embedded:{folder}/data",
        "blobs": f"file:{folder}/data/blobs",
        "http": {"host": "127.0.0.1", "port": port},
        "log": {"level": "error"},
        "api": {"tokens": [API_TOKEN]},
        "channels": {"desk": {"type": channel, **settings}},
        "queues": {"general": {}},
        "routes": [{"name": "everything", "to": "queue:general"}],
    }
    async with pipeline(folder, json.dumps(config), port) as at:  # JSON is YAML
        yield Installation(at)


@pytest.mark.parametrize("channel", CASES)
async def test_what_somebody_writes_is_answered_where_they_wrote(tmp_path: Path, channel: str) -> None:
    case = CASES[channel]
    body = json.dumps(case.body).encode()
    async with provider(case) as (fake, url):
        settings = json.loads(json.dumps(case.settings).replace("{secret}", case.secret).replace("{url}", url))
        async with installation(tmp_path, channel, settings) as desk:
            assert await desk.post(body, case.sign(body, "another-secret")) == 401
            assert await desk.post(body, case.sign(body, case.secret)) == 200
            queued = await desk.until(lambda events: events != [], QUEUE)

            await desk.reply(queued[0].subject, "We are looking into it")
            events = await desk.until(
                lambda events: any(event.type.endswith("message.delivery.v1") for event in events), OUTCOME
            )
        (delivery,) = (event.data for event in events if event.type.endswith("message.delivery.v1"))
        assert delivery.delivery.status == "sent"
        assert delivery.native_id == case.native_id
        ((path, said),) = fake.called
        assert path == case.path
        assert case.said(said) == "We are looking into it"
        received = [event.data.message for event in events if event.type.endswith("message.received.v1")]
        assert len(received) == 1


def slack_event(number: int, **event: Any) -> bytes:
    told = {"type": "event_callback", "team_id": "T0EXAMPLE1", "api_app_id": "A0EXAMPLE1", "event_id": f"Ev{number}"}
    return json.dumps({**told, "event": {"channel": "C0EXAMPLE1", "user": "U0EXAMPLE1", **event}}).encode()


async def test_a_reaction_to_a_reply_in_a_thread_follows_in_its_conversation(tmp_path: Path) -> None:
    """Slack names the message alone: neither the thread it is in, nor what else would lead there."""
    case = CASES["slack"]
    first, reply = "1767603600.000100", "1767603650.000200"
    reacted = {"type": "message", "channel": "C0EXAMPLE1", "ts": reply}
    requests = [
        slack_event(1, type="message", text="Is it open today?", ts=first),
        slack_event(2, type="message", text="And tomorrow?", ts=reply, thread_ts=first),
        slack_event(3, type="reaction_added", reaction="eyes", item=reacted, event_ts="1767603700.000300"),
    ]
    settings = {"bot_token": "invented-token", "signing_secret": case.secret}
    async with installation(tmp_path, "slack", settings) as desk:
        for body in requests:
            assert await desk.post(body, case.sign(body, case.secret)) == 200
        events = await desk.until(lambda events: any(event.type.endswith("reacted.v1") for event in events), QUEUE)
    assert len({event.subject for event in events}) == 1
    (reaction,) = (event.data for event in events if event.type.endswith("reacted.v1"))
    received = [event.data.message for event in events if event.type.endswith("message.received.v1")]
    assert reaction.message_id == received[-1].id
    assert reaction.reaction == ":eyes:"


@pytest.mark.parametrize("channel", CASES)
async def test_two_accounts_do_not_open_each_other(tmp_path: Path, channel: str) -> None:
    """The same request for both: each is proven by its own secret, and belongs to its own account."""
    case, secrets = CASES[channel], {"one": "secret-of-the-first", "two": "secret-of-the-second"}
    declared = load_channel(f"connectors.{channel}")
    accounts = {}
    for name, secret in secrets.items():
        text = json.dumps(case.settings).replace("{secret}", secret).replace("{url}", "https://api.example.com")
        given = json.loads(text.replace(discord_key(case.secret), discord_key(secret)))
        accounts[name] = account_of(declared, settings_from(declared.settings, given, name), name)
    body = json.dumps(case.body).encode()
    async with open_door(tmp_path, accounts) as door, ClientSession() as client:

        async def post(name: str, secret: str) -> int:
            headers = {"content-type": "application/json", **case.sign(body, secret)}
            async with client.post(f"{door.url}/in/{name}", data=body, headers=headers) as answer:
                return answer.status

        assert [await post("one", secrets["two"]), await post("two", secrets["one"])] == [401, 401]
        assert await door.stored(channel) == []
        assert [await post(name, secret) for name, secret in secrets.items()] == [200, 200]
        assert sorted(raw.account for raw in await door.stored(channel)) == ["one", "two"]
