"""One conversation through every stage and back, in one process, on the embedded bus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web

from omnibus.bus.port import Bus, Record
from omnibus.cli.demo.outside import free_port
from omnibus.cli.reading import records
from omnibus.cli.settings import configuration
from omnibus.cli.up import STAGES, running
from omnibus.model import codec
from omnibus.model.codec import Event

CONFIG = """
bus: embedded:{folder}/data
blobs: file:{folder}/data/blobs
http: {{host: 127.0.0.1, port: {port}}}
log: {{level: error}}
api: {{tokens: [api-token-of-the-test]}}
channels:
  hook: {{type: webhook, reply_url: "http://127.0.0.1:{replies}/replies", allow_private: true}}
queues: {{billing: {{}}, general: {{}}}}
routes:
  - {{name: billing, when: "message.text.contains('invoice')", to: queue:billing, priority: high}}
  - {{name: everything else, to: queue:general}}
sinks:
  files: {{type: jsonl, from: [queue:billing, queue:general], folder: {folder}/queues}}
"""


class Installation:
    """A running pipeline, and what a person outside can do with it."""

    def __init__(self, folder: Path, port: int, bus: Bus, session: ClientSession) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.bus = bus
        self.session = session

    async def post(self, **message: object) -> int:
        async with self.session.post(f"{self.url}/in/hook", json=message) as answer:
            return answer.status

    async def command(self, conversation: str, **body: object) -> int:
        headers = {"Authorization": "Bearer api-token-of-the-test"}
        url = f"{self.url}/api/conversations/{conversation}/commands"
        async with self.session.post(url, json=body, headers=headers) as answer:
            return answer.status

    async def events(self, topic: str = "omnibus.events") -> list[Event]:
        found = [record async for batch in records(self.bus, topic) for record in batch]
        return [codec.decode(record) for record in found]

    async def until(self, holds: Callable[[Sequence[Event]], bool], topic: str = "omnibus.events") -> list[Event]:
        """The events once `holds` is true of them."""
        async with asyncio.timeout(30):
            if holds(found := await self.events(topic)):
                return found
            start = {partition: first for partition, (first, _) in (await self.bus.bounds(topic)).items()}
            async for _ in self.bus.follow(topic, start):
                if holds(found := await self.events(topic)):
                    break
        return found

    async def dead_letters(self, count: int) -> list[Record]:
        """The first so many dead letters, once they are there."""
        letters: list[Record] = []
        topic = "omnibus.dead-letters"
        start = {partition: first for partition, (first, _) in (await self.bus.bounds(topic)).items()}
        async with asyncio.timeout(30):
            async for batch in self.bus.follow(topic, start):
                letters += batch
                if len(letters) >= count:
                    break
        return letters


@asynccontextmanager
async def installation(folder: Path, replies: int) -> AsyncIterator[Installation]:
    port = free_port()
    path = folder / "omnibus.yaml"
    path.write_text(CONFIG.format(folder=folder, port=port, replies=replies))
    async with running(configuration(path), STAGES) as services, ClientSession() as session:
        runtime: Any = services[0]
        yield Installation(folder, port, runtime._runtime.bus, session)


@asynccontextmanager
async def reply_server(port: int) -> AsyncIterator[list[dict[str, Any]]]:
    got: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/replies", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield got
    finally:
        await runner.cleanup()


def kinds(events: Sequence[Event]) -> list[str]:
    return [event.type.removeprefix("omnibus.").removesuffix(".v1") for event in events]


async def test_a_message_reaches_its_queue_and_the_reply_its_author(tmp_path: Path) -> None:
    replies = free_port()
    async with reply_server(replies) as got, installation(tmp_path, replies) as desk:
        assert await desk.post(id="m-1", **{"from": "ana@example.com"}, text="my invoice is wrong") == 200
        queued = await desk.until(lambda events: len(events) > 0, "omnibus.queue.billing")
        conversation = queued[0].subject
        assert queued[0].data.conversation.priority == "high"

        assert await desk.command(conversation, type="reply", text="We are looking into it") == 202
        events = await desk.until(lambda events: "message.delivery" in kinds(events))

        assert [reply["content"]["text"] for reply in got] == ["We are looking into it"]
        delivery = next(event.data for event in events if event.type == "omnibus.message.delivery.v1")
        assert delivery.delivery.status == "sent"


async def test_starting_again_finds_every_conversation(tmp_path: Path) -> None:
    """The second message comes after a restart and belongs to the same conversation; a copy of the first is dropped."""
    async with installation(tmp_path, free_port()) as desk:
        await desk.post(id="m-1", **{"from": "ana@example.com"}, text="hello")
        (before, *_) = await desk.until(lambda events: "message.received" in kinds(events))
    async with installation(tmp_path, free_port()) as desk:
        await desk.post(id="m-1", **{"from": "ana@example.com"}, text="hello")
        await desk.post(id="m-2", **{"from": "ana@example.com"}, text="are you there?")
        after = await desk.until(lambda events: kinds(events).count("message.received") == 2)
        assert kinds(after).count("conversation.opened") == 1
        assert {event.subject for event in after} == {before.subject}


async def test_a_request_nobody_understands_is_kept_and_named(tmp_path: Path) -> None:
    async with installation(tmp_path, free_port()) as desk:
        headers = {"Content-Type": "application/json"}
        async with desk.session.post(f"{desk.url}/in/hook", data=b'{"text": ', headers=headers) as answer:
            assert answer.status == 200
        letters = await desk.dead_letters(1)
        assert letters[0].header("dead_topic") == b"omnibus.raw.webhook"
        assert b'{"text": ' in (letters[0].value or b"")


async def test_the_queue_s_file_has_each_event_once(tmp_path: Path) -> None:
    async with installation(tmp_path, free_port()) as desk:
        for number in range(20):
            await desk.post(id=f"m-{number}", **{"from": f"person-{number % 4}"}, text=f"message {number}")
        await desk.until(lambda events: kinds(events).count("message.received") == 20)
    lines = [json.loads(line) for path in (tmp_path / "queues").iterdir() for line in path.read_text().splitlines()]
    ids = [line["id"] for line in lines]
    assert len(ids) == len(set(ids))
    texts = [
        message["content"]["text"]
        for line in lines
        for message in (*line["data"].get("recent", ()), *filter(None, [line["data"].get("message")]))
    ]
    assert sorted(texts) == sorted(f"message {number}" for number in range(20))
