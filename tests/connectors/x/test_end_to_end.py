"""A post and a message of one customer, through the real front door, to answers in public and in private."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from omnibus.bus.port import Bus
from omnibus.cli.reading import records
from omnibus.cli.settings import configuration
from omnibus.cli.up import STAGES, running
from omnibus.model import codec
from omnibus.model.codec import Event
from omnibus.testing.shell import free_port

if TYPE_CHECKING:
    from tests.connectors.x.conftest import FakeX

ANA = "2200000000000000002"
CONFIG = """
bus: embedded:{folder}/data
blobs: file:{folder}/data/blobs
http: {{host: 127.0.0.1, port: {port}}}
log: {{level: error}}
api: {{tokens: [api-token-of-the-test]}}
channels:
  x: {{type: x, user_id: "1100000000000000001", client_secret: invented-client-secret, access_token: invented-token,
       api_url: "{provider}"}}
queues: {{general: {{}}}}
routes: [{{name: everything, to: queue:general}}]
sinks:
  files: {{type: jsonl, from: [queue:general], folder: {folder}/queues}}
"""


async def until(bus: Bus, kind: str, holds: Callable[[Any], bool] = lambda _data: True) -> Event:
    """The first event of that kind of which `holds` is true."""
    async with asyncio.timeout(30):
        while True:
            for batch in [batch async for batch in records(bus, "omnibus.events")]:
                for event in map(codec.decode, batch):
                    if event.type == f"omnibus.{kind}.v1" and holds(event.data):
                        return event
            await asyncio.sleep(0.05)


async def test_a_customer_is_answered_where_they_wrote(
    tmp_path: Path,
    fake_x: FakeX,
    signed: Callable[..., tuple[bytes, dict[str, str]]],
    dm: Callable[..., dict[str, Any]],
    mention: Callable[..., dict[str, Any]],
) -> None:
    port = free_port()
    path = tmp_path / "omnibus.yaml"
    path.write_text(CONFIG.format(folder=tmp_path, port=port, provider=fake_x.url))
    url = f"http://127.0.0.1:{port}"
    async with running(configuration(path), STAGES) as services, aiohttp.ClientSession() as client:
        runtime: Any = services[0]
        bus: Bus = runtime._runtime.bus

        async def receive(body: dict[str, Any]) -> int:
            data, headers = signed(body, "invented-client-secret", newer=True)
            async with client.post(f"{url}/in/x", data=data, headers=headers) as answer:
                return answer.status

        async def reply(conversation: str, text: str) -> None:
            headers = {"Authorization": "Bearer api-token-of-the-test"}
            address = f"{url}/api/conversations/{conversation}/commands"
            async with asyncio.timeout(30):
                while True:
                    async with client.post(address, json={"type": "reply", "text": text}, headers=headers) as answer:
                        if answer.status != 404:  # the router has not seen it yet
                            assert answer.status == 202
                            return
                    await asyncio.sleep(0.05)

        assert await receive(mention("Is @example_store open?", "2008100000000000100")) == 200
        assert await receive(dm("Where is my parcel?", "2008100000000000200")) == 200
        public = await until(
            bus, "message.received", lambda data: data.message.content.__struct_config__.tag == "social"
        )
        private = await until(
            bus, "message.received", lambda data: data.message.content.__struct_config__.tag == "text"
        )
        assert public.subject != private.subject
        await reply(public.subject, "Yes, until six.")
        await reply(private.subject, "It comes today.")
        for event in (public, private):
            subject = event.subject
            await until(bus, "message.delivery", lambda data, subject=subject: data.conversation_id == subject)  # type: ignore[misc]  # mypy cannot infer a lambda that binds the loop variable

    calls = {path: body for _, path, body in fake_x.calls}
    assert calls == {
        "/2/tweets": {"text": "Yes, until six.", "reply": {"in_reply_to_tweet_id": "2008100000000000100"}},
        f"/2/dm_conversations/with/{ANA}/messages": {"text": "It comes today."},
    }
