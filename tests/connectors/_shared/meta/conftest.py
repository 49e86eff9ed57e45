"""A Graph API on loopback, and an installation whose channels go there."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from omnibus import clock
from omnibus.model.codec import Event
from omnibus.testing.pipeline import EVENTS, Pipeline, pipeline
from omnibus.testing.ports import free_port
from omnibus.testing.served import served

PICTURE = b"\x89PNG\r\n\x1a\n invented"
CONFIG = """
bus: {bus}
blobs: file:{folder}/data/blobs
http: {{host: 127.0.0.1, port: {port}}}
log: {{level: error}}
api: {{tokens: [api-token-of-the-test]}}
channels:
  wa-one: {{type: whatsapp_cloud, phone_number_id: "1055", app_secret: secret-of-the-first-app, access_token: token-one,
    verify_token: word, api_url: "{graph}"}}
  wa-two: {{type: whatsapp_cloud, phone_number_id: "2066", app_secret: secret-of-the-first-app, access_token: token-two,
    verify_token: word, api_url: "{graph}"}}
  wa-elsewhere: {{type: whatsapp_cloud, phone_number_id: "3077", app_secret: secret-of-another-app,
    access_token: token-three, verify_token: another-word, api_url: "{graph}"}}
  page: {{type: messenger, page_id: "4001", app_secret: secret-of-the-first-app, access_token: token-page,
    verify_token: word, api_url: "{graph}"}}
  profile: {{type: instagram, account_id: "5001", app_secret: secret-of-the-first-app, access_token: token-profile,
    verify_token: word, api_url: "{graph}"}}
queues: {{general: {{}}}}
routes:
  - {{name: everything, to: queue:general}}
"""


@dataclass
class Graph:
    """Takes what is sent, and gives one picture."""

    url: str = ""
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{version}/{path:.+}", self._post)
        app.router.add_get("/picture", self._picture)
        app.router.add_get("/{version}/{media}", self._media)
        return app

    async def _post(self, request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.calls.append((token, request.match_info["path"], await request.json()))
        name = f"sent-{len(self.calls)}"
        return web.json_response({"messages": [{"id": name}], "message_id": name, "id": name})

    async def _media(self, request: web.Request) -> web.Response:
        return web.json_response({"url": f"{self.url}/picture", "mime_type": "image/png", "file_size": len(PICTURE)})

    async def _picture(self, request: web.Request) -> web.Response:
        known = request.headers.get("Authorization") == "Bearer token-one"
        return web.Response(body=PICTURE, content_type="image/png") if known else web.Response(status=401)


class Installation(Pipeline):
    """A running pipeline, and what Meta and an agent do with it."""

    def __init__(self, at: Pipeline, graph: Graph) -> None:
        super().__init__(at.url, at.bus, at.session)
        self.graph = graph

    async def webhook(self, account: str, body: dict[str, Any], secret: str = "secret-of-the-first-app") -> int:
        """Meta calls."""
        data = json.dumps(body).encode()
        signature = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        async with self.session.post(f"{self.url}/in/{account}", data=data, headers=headers) as answer:
            return answer.status

    async def handshake(self, account: str, token: str) -> tuple[int, str]:
        query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": token}
        async with self.session.get(f"{self.url}/in/{account}", params=query) as answer:
            return answer.status, await answer.text()

    async def answered(self, conversation: str, text: str) -> str:
        """An agent answers; the provider's id of the answer."""
        before = len(self.of_type(await self.events(), "message.delivery"))
        await self.reply(conversation, text)
        deliveries = await self.all("message.delivery", before + 1)
        native_id: str = deliveries[-1].native_id
        return native_id

    async def all(self, kind: str, count: int = 1, topic: str = EVENTS) -> list[Any]:
        """The data of the events of that type, once there are so many."""
        events = await self.until(lambda events: len(self.of_type(events, kind)) >= count, topic)
        return self.of_type(events, kind)

    @staticmethod
    def of_type(events: Sequence[Event], kind: str) -> list[Any]:
        """Once each: what the router publishes of a report comes beside the normalizer's own."""
        return [
            event.data
            for event in events
            if event.type == f"omnibus.{kind}.v1" and (kind != "message.delivery" or event.data.message_id)
        ]


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    graph = Graph()
    async with served(graph.app()) as graph.url:
        yield graph


@pytest.fixture
def bus(tmp_path: Path) -> str:
    """Where the installation's records live."""
    return f"embedded:{tmp_path}/data"


@pytest.fixture
async def installation(tmp_path: Path, graph: Graph, bus: str) -> AsyncIterator[Installation]:
    port = free_port()
    async with pipeline(tmp_path, CONFIG.format(folder=tmp_path, port=port, graph=graph.url, bus=bus), port) as at:
        yield Installation(at, graph)


def whatsapp(*changes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A webhook of WhatsApp: for each of our numbers, what is in its change."""
    listed = [
        {
            "field": "messages",
            "value": {"messaging_product": "whatsapp", "metadata": {"phone_number_id": number}, **value},
        }
        for number, value in changes
    ]
    return {"object": "whatsapp_business_account", "entry": [{"id": "9001", "changes": listed}]}


def wa_text(text: str, native_id: str) -> dict[str, Any]:
    """Ana writes in WhatsApp."""
    message = {
        "from": "12025550101",
        "id": native_id,
        "timestamp": str(clock.now_ms() // 1000),
        "type": "text",
        "text": {"body": text},
    }
    return {"contacts": [{"wa_id": "12025550101", "profile": {"name": "Ana"}}], "messages": [message]}


@pytest.fixture
def say() -> Callable[..., dict[str, Any]]:
    """Makes a webhook of a text to each of our numbers: `say({"1055": "hello"})`."""

    def said(texts: dict[str, str]) -> dict[str, Any]:
        return whatsapp(*((number, wa_text(text, f"wamid.{number}")) for number, text in texts.items()))

    return said
