"""A user of the app writes, the whole pipeline answers: every stage, in one process, on the embedded bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.app.client import AppClient
from omnibus.errors import TryAgain
from omnibus.http import Http
from omnibus.testing.pipeline import pipeline
from omnibus.testing.ports import free_port

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


async def test_what_was_written_in_a_tunnel_is_answered_on_the_other_device(
    tmp_path: Path, token: Callable[..., str], first: First
) -> None:
    port = free_port()
    config = CONFIG.format(folder=tmp_path, port=port, secret=SECRET)

    def device(name: str, http: Http) -> AppClient:
        return AppClient(
            http, f"http://127.0.0.1:{port}/ch/app", name, lambda: {"token": token("customer-17", key=SECRET)}
        )

    async with pipeline(tmp_path, config, port) as desk, Http(allow_private=True) as http:
        phone, tablet = device("phone-0001", http), device("tablet-001", http)
        phone.write("my parcel is not here")
        await _registered(phone)
        await phone.flush()

        received = await desk.first("message.received")
        assert received.data.sender.verified == "jwt"
        await desk.reply(received.subject, "It comes today")
        *_, answer = await first(tablet.entries(), 2)
        assert (answer.author, answer.text) == ("agent", "It comes today")
        await tablet.receipt([answer.id], "read")

        read = await desk.first("message.delivery", lambda data: data.delivery.status == "read")
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
