"""A Graph API on loopback, and an installation whose channels go there."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from omnibus import clock
from omnibus.bus.port import Bus
from omnibus.cli.demo.outside import free_port
from omnibus.cli.reading import records
from omnibus.cli.settings import configuration
from omnibus.cli.up import STAGES, running
from omnibus.model import codec
from omnibus.model.codec import Event

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


class Installation:
    """A running pipeline, and what Meta and an agent do with it."""

    def __init__(self, bus: Bus, session: ClientSession, url: str, graph: Graph) -> None:
        self.graph = graph
        self._bus = bus
        self._session = session
        self._url = url

    async def webhook(self, account: str, body: dict[str, Any], secret: str = "secret-of-the-first-app") -> int:
        """Meta calls."""
        data = json.dumps(body).encode()
        signature = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        async with self._session.post(f"{self._url}/in/{account}", data=data, headers=headers) as answer:
            return answer.status

    async def handshake(self, account: str, token: str) -> tuple[int, str]:
        query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": token}
        async with self._session.get(f"{self._url}/in/{account}", params=query) as answer:
            return answer.status, await answer.text()

    async def reply(self, conversation: str, text: str) -> str:
        """An agent answers; the provider's id of the answer."""
        url = f"{self._url}/api/conversations/{conversation}/commands"
        headers = {"Authorization": "Bearer api-token-of-the-test"}
        before = len(self.of_type(await self.events(), "message.delivery"))
        async with asyncio.timeout(30):
            while True:
                async with self._session.post(url, json={"type": "reply", "text": text}, headers=headers) as answer:
                    if answer.status != 404:  # until the router has seen the conversation
                        assert answer.status == 202, await answer.text()
                        break
                await asyncio.sleep(0.02)
        deliveries = await self.until("message.delivery", before + 1)
        native_id: str = deliveries[-1].native_id
        return native_id

    async def until(self, kind: str, count: int = 1, topic: str = "omnibus.events") -> list[Any]:
        """The data of the events of that type, once there are so many."""
        async with asyncio.timeout(30):
            bounds = await self._bus.bounds(topic)
            found = self.of_type(await self.events(topic), kind)
            if len(found) >= count:
                return found
            starts = {number: first for number, (first, _) in bounds.items()}
            async for _ in self._bus.follow(topic, starts):
                found = self.of_type(await self.events(topic), kind)
                if len(found) >= count:
                    break
        return found

    async def events(self, topic: str = "omnibus.events") -> list[Event]:
        return [codec.decode(record) async for batch in records(self._bus, topic) for record in batch]

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
    runner = web.AppRunner(graph.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    graph.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield graph
    await runner.cleanup()


@pytest.fixture
def bus(tmp_path: Path) -> str:
    """Where the installation's records live."""
    return f"embedded:{tmp_path}/data"


@pytest.fixture
async def installation(tmp_path: Path, graph: Graph, bus: str) -> AsyncIterator[Installation]:
    port = free_port()
    path = tmp_path / "omnibus.yaml"
    path.write_text(CONFIG.format(folder=tmp_path, port=port, graph=graph.url, bus=bus))
    async with AsyncExitStack() as stack:
        services: Any = await stack.enter_async_context(running(configuration(path), STAGES))
        session = await stack.enter_async_context(ClientSession())
        yield Installation(services[0]._runtime.bus, session, f"http://127.0.0.1:{port}", graph)


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
