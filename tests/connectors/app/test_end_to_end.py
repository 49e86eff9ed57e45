"""A user of the app writes, the whole pipeline answers: every stage, in one process, on the embedded bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.app.client import AppClient
from omnibus.bus.port import Bus
from omnibus.cli.reading import records
from omnibus.cli.settings import configuration
from omnibus.cli.up import STAGES, running
from omnibus.errors import TryAgain
from omnibus.http import Http
from omnibus.model import codec
from omnibus.model.codec import Event
from omnibus.testing.shell import free_port

if TYPE_CHECKING:
    from tests.connectors.app.conftest import First

CONFIG = """
bus: embedded:{folder}/data
blobs: file:{folder}/data/blobs
http: {{host: 127.0.0.1, port: {port}}}
log: {{level: error}}
api: {{tokens: [api-token-of-the-test]}}
channels:
  app: {{type: app, session_secret: invented-session-secret, identity_secret: {secret}}}
queues: {{general: {{}}}}
routes: [{{name: everything, to: queue:general}}]
sinks:
  files: {{type: jsonl, from: [queue:general], folder: {folder}/queues}}
"""
SECRET = "invented-identity-secret-of-32-bytes-or-more"


async def until(bus: Bus, kind: str, holds: Callable[[Any], bool] = lambda _data: True) -> Event:
    """The first event of that kind of which `holds` is true."""
    async with asyncio.timeout(30):
        while True:
            for batch in [batch async for batch in records(bus, "omnibus.events")]:
                for event in map(codec.decode, batch):
                    if event.type == f"omnibus.{kind}.v1" and holds(event.data):
                        return event
            await asyncio.sleep(0.05)


async def test_what_was_written_in_a_tunnel_is_answered_on_the_other_device(
    tmp_path: Path, token: Callable[..., str], first: First
) -> None:
    port = free_port()
    path = tmp_path / "omnibus.yaml"
    path.write_text(CONFIG.format(folder=tmp_path, port=port, secret=SECRET))
    url = f"http://127.0.0.1:{port}"

    def device(name: str, http: Http) -> AppClient:
        return AppClient(http, f"{url}/ch/app", name, lambda: {"token": token("customer-17", key=SECRET)})

    async with running(configuration(path), STAGES) as services, Http(allow_private=True) as http:
        runtime: Any = services[0]
        bus: Bus = runtime._runtime.bus
        phone, tablet = device("phone-0001", http), device("tablet-001", http)
        phone.write("my parcel is not here")
        await _registered(phone)
        await phone.flush()

        received = await until(bus, "message.received")
        assert received.data.sender.verified == "jwt"
        assert await _command(http, url, received.subject, {"type": "reply", "text": "It comes today"}) == 202
        *_, answer = await first(tablet.entries(), 2)
        assert (answer.author, answer.text) == ("agent", "It comes today")
        await tablet.receipt([answer.id], "read")

        read = await until(bus, "message.delivery", lambda data: data.delivery.status == "read")
        assert read.subject == received.subject
        assert [entry.text for entry in (await phone.sync()).entries] == ["my parcel is not here", "It comes today"]


async def _registered(phone: AppClient) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await phone.register()
            except TryAgain:
                await asyncio.sleep(0.05)
            else:
                return


async def _command(http: Http, url: str, conversation: str, body: dict[str, str]) -> int:
    """Its status, once the router knows the conversation."""
    headers = {"Authorization": "Bearer api-token-of-the-test"}
    address = f"{url}/api/conversations/{conversation}/commands"
    async with asyncio.timeout(30):
        while True:
            answer = await http.request("POST", address, json=body, headers=headers)
            if answer.status != 404:
                return answer.status
            await asyncio.sleep(0.05)
