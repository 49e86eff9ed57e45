"""An X that is played on loopback, and requests signed as X signs them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from omnibus.testing.served import served

US = "1100000000000000001"
THEM = "1100000000000000009"
ANA = "2200000000000000002"


@dataclass
class FakeX:
    """Takes every call; `answers` are given first, in their order."""

    url: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    answers: list[tuple[int, Any]] = field(default_factory=list)
    file: bytes = b""

    async def handle(self, request: web.Request) -> web.Response:
        is_json = request.content_type == "application/json"
        body = await request.json() if is_json else (await request.read()).decode("latin-1")
        self.calls.append((request.method, request.path, body))
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.answers:
            status, answer = self.answers.pop(0)
            return web.json_response(answer, status=status)
        number = str(2008100000000009000 + len(self.calls))
        if request.path.startswith("/2/dm_conversations/media/"):
            return web.Response(body=self.file, content_type="image/jpeg")
        if request.path == "/2/users/me":
            return web.json_response({"data": {"id": US, "name": "Example Store", "username": "example_store"}})
        return web.json_response({"data": {"id": number, "dm_event_id": number}}, status=201)


@pytest.fixture
async def fake_x() -> AsyncIterator[FakeX]:
    fake = FakeX()
    app = web.Application(client_max_size=100_000_000)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    async with served(app) as fake.url:
        yield fake


@pytest.fixture
def signed() -> Callable[..., tuple[bytes, dict[str, str]]]:
    """A request's body and headers, signed with the app's secret, or with the client's."""

    def sign(body: Any, secret: str, *, newer: bool = False) -> tuple[bytes, dict[str, str]]:
        data = json.dumps(body).encode()
        signature = base64.b64encode(hmac.new(secret.encode(), data, hashlib.sha256).digest()).decode()
        name = "X-Twitter-Webhooks-Signature" + ("-OAuth2" if newer else "")
        return data, {"Content-Type": "application/json", name: f"sha256={signature}"}

    return sign


@pytest.fixture
def dm() -> Callable[..., dict[str, Any]]:
    """A direct message to an account of ours."""

    def made(text: str, event_id: str, *, us: str = US, sender: str = ANA) -> dict[str, Any]:
        created = {"target": {"recipient_id": us}, "sender_id": sender, "message_data": {"text": text, "entities": {}}}
        event = {
            "type": "message_create",
            "id": event_id,
            "created_timestamp": "1767603600250",
            "message_create": created,
        }
        return {"for_user_id": us, "direct_message_events": [event], "users": {}}

    return made


@pytest.fixture
def mention() -> Callable[..., dict[str, Any]]:
    """A post that mentions us."""

    def made(text: str, post_id: str) -> dict[str, Any]:
        user = {"id_str": ANA, "name": "Ana Prado", "screen_name": "ana_example"}
        return {"for_user_id": US, "tweet_create_events": [{"id_str": post_id, "text": text, "user": user}]}

    return made
