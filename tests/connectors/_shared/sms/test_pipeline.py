"""The family over the whole pipeline: signed requests in at the real front door, replies out at the fake provider."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from aiohttp import web
from yarl import URL

from omnibus import clock
from omnibus.model.codec import Event
from omnibus.testing.pipeline import Pipeline, pipeline
from omnibus.testing.ports import free_port
from omnibus.testing.served import served

PUBLIC = "https://in.example.com"
CONFIG = """
bus: embedded:{folder}/data
blobs: file:{folder}/data/blobs
http: {{host: 127.0.0.1, port: {port}, public_url: "https://in.example.com"}}
log: {{level: error}}
api: {{tokens: [api-token-of-the-test]}}
channels:
  sms-us:
    {{type: twilio, account_sid: ACone, auth_token: token-of-the-first, api_url: "http://127.0.0.1:{provider}"}}
  sms-uk:
    {{type: twilio, account_sid: ACtwo, auth_token: token-of-the-second, api_url: "http://127.0.0.1:{provider}"}}
  vonage-us:
    type: vonage
    signing_secret: signature-secret-of-the-first
    api_key: firstkey
    api_secret: api-secret-of-the-first
    api_url: "http://127.0.0.1:{provider}"
  vonage-uk:
    type: vonage
    signing_secret: signature-secret-of-the-second
    api_key: second12
    api_secret: api-secret-of-the-second
    api_url: "http://127.0.0.1:{provider}"
  gateway:
    type: sms_gateway
    preset: kannel
    webhook_secret: token-of-the-gateway
    outgoing: {{url: "http://127.0.0.1:{provider}/sendsms", user: u, password: pw-of-kannel, allow_private: true}}
queues: {{general: {{}}}}
routes: [{{name: everything, to: queue:general}}]
"""
OURS, ANA = "+12025550123", "+12025550147"


class Exchange(Pipeline):
    """A running installation, and what a provider outside sees of it."""

    def __init__(self, at: Pipeline, handed_in: list[dict[str, str]]) -> None:
        super().__init__(at.url, at.bus, at.session)
        self.handed_in = handed_in

    async def twilio(self, account: str, token: str, target: str = "", **fields: str) -> int:
        """A request signed for the public address, as Twilio calls it."""
        path = f"/in/{account}{target}"
        signed = f"{PUBLIC}{path}" + "".join(f"{name}{value}" for name, value in sorted(fields.items()))
        signature = base64.b64encode(hmac.new(token.encode(), signed.encode(), sha1).digest()).decode()
        headers = {"X-Twilio-Signature": signature}
        url = URL(f"{self.url}{path}", encoded=True)  # as it was signed, to the letter
        async with self.session.post(url, data=fields, headers=headers) as answer:
            return answer.status

    async def vonage(self, account: str, secret: str, **fields: Any) -> int:
        """A request of the Messages API, signed as Vonage does: a token that holds the hash of the body."""
        body = json.dumps({"timestamp": clock.now().isoformat(), **fields}).encode()
        claims = {"iat": clock.now_ms() // 1000, "payload_hash": sha256(body).hexdigest()}
        parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        signature = _base64url(hmac.new(secret.encode(), ".".join(parts).encode(), sha256).digest())
        headers = {"Authorization": f"Bearer {'.'.join([*parts, signature])}", "Content-Type": "application/json"}
        async with self.session.post(f"{self.url}/in/{account}", data=body, headers=headers) as answer:
            return answer.status

    async def kannel(self, query: str) -> tuple[int, bytes]:
        url = URL(f"{self.url}/in/gateway?{query}", encoded=True)
        async with self.session.get(url) as answer:
            return answer.status, await answer.read()


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Exchange]:
    port, provider, handed_in = free_port(), free_port(), list[dict[str, str]]()
    config = CONFIG.format(folder=tmp_path, port=port, provider=provider)
    async with provider_at(provider, handed_in), pipeline(tmp_path, config, port) as at:
        yield Exchange(at, handed_in)


@asynccontextmanager
async def provider_at(port: int, handed_in: list[dict[str, str]]) -> AsyncIterator[None]:
    async def twilio(request: web.Request) -> web.Response:
        handed_in.append({"path": request.path, **dict(parse_qsl((await request.read()).decode()))})
        return web.json_response({"sid": f"SMout{len(handed_in)}", "status": "queued"}, status=201)

    async def vonage(request: web.Request) -> web.Response:
        said = await request.json()
        handed_in.append({"as": request.headers["Authorization"], **said})
        return web.json_response({"message_uuid": f"uuid-out{len(handed_in)}"}, status=202)

    async def kannel(request: web.Request) -> web.Response:
        handed_in.append(dict(request.query))
        return web.Response(text="0: Accepted for delivery", status=202)

    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{sid}/Messages.json", twilio)
    app.router.add_post("/v1/messages", vonage)
    app.router.add_get("/sendsms", kannel)
    async with served(app, port):
        yield


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def received(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.type == "omnibus.message.received.v1"]


def has_status(status: str) -> Callable[[Sequence[Event]], bool]:
    """Whether a report of that status found its message."""

    def holds(events: Sequence[Event]) -> bool:
        reports = (event.data for event in events if event.type == "omnibus.message.delivery.v1")
        return any(report.delivery.status == status and report.message_id is not None for report in reports)

    return holds


async def test_a_text_is_answered_and_its_delivery_reported(exchange: Exchange) -> None:
    message = {"MessageSid": "SMin1", "From": ANA, "To": OURS, "Body": "hello", "NumMedia": "0"}
    assert await exchange.twilio("sms-us", "token-of-the-first", **message) == 200
    assert await exchange.twilio("sms-us", "token-of-the-first", **message) == 200, "a copy is taken, and dropped"
    (inbound,) = received(await exchange.until(lambda events: len(received(events)) > 0))
    await exchange.reply(inbound.subject, "We are looking into it")
    await exchange.until(has_status("sent"))
    (sent,) = exchange.handed_in
    assert (sent["From"], sent["To"], sent["Body"]) == (OURS, ANA, "We are looking into it")

    target = sent["StatusCallback"].removeprefix(f"{PUBLIC}/in/sms-us")
    report = {"MessageSid": "SMout1", "MessageStatus": "delivered", "From": "+12025550199", "To": ANA}
    assert await exchange.twilio("sms-us", "token-of-the-first", target, **report) == 200
    events = await exchange.until(has_status("delivered"))
    assert len(received(events)) == 1


async def test_two_accounts_do_not_open_each_other(exchange: Exchange) -> None:
    """The same message for both: each is proven by its own token, and belongs to its own account."""
    message = {"MessageSid": "SMin1", "From": ANA, "To": OURS, "Body": "hello", "NumMedia": "0"}
    assert await exchange.twilio("sms-us", "token-of-the-second", **message) == 401
    assert await exchange.twilio("sms-uk", "token-of-the-first", **message) == 401
    assert await exchange.twilio("sms-us", "token-of-the-first", **message) == 200
    assert await exchange.twilio("sms-uk", "token-of-the-second", **message) == 200
    events = received(await exchange.until(lambda events: len(received(events)) == 2))
    assert {event.data.message.channel_account_id for event in events} == {"sms-us", "sms-uk"}
    assert len({event.subject for event in events}) == 2


async def test_two_accounts_of_vonage_answer_each_with_its_own_credentials(exchange: Exchange) -> None:
    message = {"message_uuid": "uuid-in1", "channel": "sms", "from": ANA[1:], "to": OURS[1:], "message_type": "text"}
    first, second = "signature-secret-of-the-first", "signature-secret-of-the-second"
    assert await exchange.vonage("vonage-us", second, **message, text="hello") == 401
    assert await exchange.vonage("vonage-us", first, **message, text="hello") == 200
    assert await exchange.vonage("vonage-us", first, **message, text="hello") == 200, "a copy is taken, and dropped"
    assert await exchange.vonage("vonage-uk", second, **message, text="hello") == 200
    events = received(await exchange.until(lambda events: len(received(events)) == 2))
    subjects = {event.data.message.channel_account_id: event.subject for event in events}
    await exchange.reply(subjects["vonage-uk"], "We are looking into it")
    await exchange.until(has_status("sent"))
    (sent,) = exchange.handed_in
    assert (sent["from"], sent["to"], sent["text"]) == (OURS[1:], ANA[1:], "We are looking into it")
    assert sent["as"] == f"Basic {base64.b64encode(b'second12:api-secret-of-the-second').decode()}"

    report = {"message_uuid": "uuid-out1", "channel": "sms", "from": OURS[1:], "to": ANA[1:], "status": "delivered"}
    assert await exchange.vonage("vonage-uk", second, **report) == 200
    events = await exchange.until(has_status("delivered"))
    assert len(received(events)) == 2


async def test_a_long_message_in_parts_is_one_and_its_answer_is_reported(exchange: Exchange) -> None:
    """Kannel hands over the parts as they come, here the last one first, and one of them twice."""
    parts = {1: "The parcel ", 2: "came today, ", 3: "thank you."}
    for number in (3, 1, 1, 2):
        fields = urlencode(
            {
                "token": "token-of-the-gateway",
                "from": ANA,
                "to": OURS,
                "text": parts[number],
                "id": f"k-{number}",
                "charset": "UTF-8",
            }
        )
        assert await exchange.kannel(f"{fields}&udh=%05%00%03%C7%03%{number:02X}") == (200, b"")
    (inbound,) = received(await exchange.until(lambda events: len(received(events)) > 0))
    assert inbound.data.message.content.text == "The parcel came today, thank you."

    await exchange.reply(inbound.subject, "You are welcome")
    await exchange.until(has_status("sent"))
    (sent,) = exchange.handed_in
    assert (sent["to"], sent["from"], sent["text"]) == (ANA, OURS, "You are welcome")
    query = sent["dlr-url"].partition("?")[2].replace("%d", "1").replace("%A", "")
    assert await exchange.kannel(query) == (200, b"")
    events = await exchange.until(has_status("delivered"))
    assert len(received(events)) == 1
