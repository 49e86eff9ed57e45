"""One conversation through every stage and back, in one process, on the embedded bus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from omnibus.bus.port import Record
from omnibus.model.codec import Event
from omnibus.testing.pipeline import Pipeline, pipeline
from omnibus.testing.ports import free_port
from omnibus.testing.served import served

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


class Installation(Pipeline):
    """A running pipeline with one webhook."""

    def __init__(self, at: Pipeline) -> None:
        super().__init__(at.url, at.bus, at.session)

    async def post(self, **message: object) -> int:
        async with self.session.post(f"{self.url}/in/hook", json=message) as answer:
            return answer.status

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
    async with pipeline(folder, CONFIG.format(folder=folder, port=port, replies=replies), port) as at:
        yield Installation(at)


@asynccontextmanager
async def reply_server(port: int) -> AsyncIterator[list[dict[str, Any]]]:
    got: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/replies", take)
    async with served(app, port):
        yield got


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
