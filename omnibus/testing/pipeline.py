"""A running installation inside the test, every stage of it, and what an agent does with it from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from omnibus.bus.port import Bus
from omnibus.cli.reading import records
from omnibus.cli.settings import configuration
from omnibus.cli.up import STAGES, running
from omnibus.model import codec
from omnibus.model.codec import Event

API_TOKEN = "api-token-of-the-test"  # noqa: S105 - invented
EVENTS = "omnibus.events"
PATIENCE_S = 30.0


class Pipeline:
    """What there is outside of it: its address, its bus to look into, a client."""

    def __init__(self, url: str, bus: Bus, session: ClientSession) -> None:
        self.url = url
        self.bus = bus
        self.session = session

    async def command(self, conversation: str, **body: object) -> int:
        """Downstream sends a command; the status it gets."""
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        url = f"{self.url}/api/conversations/{conversation}/commands"
        async with self.session.post(url, json=body, headers=headers) as answer:
            return answer.status

    async def reply(self, conversation: str, text: str) -> None:
        """An agent answers, as soon as the router has seen the conversation."""
        async with asyncio.timeout(PATIENCE_S):
            while (status := await self.command(conversation, type="reply", text=text)) == 404:  # noqa: ASYNC110 - a look
                await asyncio.sleep(0.02)
        assert status == 202, status

    async def events(self, topic: str = EVENTS) -> list[Event]:
        """Everything in a topic."""
        return [codec.decode(record) async for batch in records(self.bus, topic) for record in batch]

    async def until(
        self, holds: Callable[[Sequence[Event]], bool], topic: str = EVENTS, patience_s: float = PATIENCE_S
    ) -> list[Event]:
        """The events of a topic once `holds` is true of them."""
        async with asyncio.timeout(patience_s):
            start = {partition: first for partition, (first, _) in (await self.bus.bounds(topic)).items()}
            if holds(found := await self.events(topic)):
                return found
            async for _ in self.bus.follow(topic, start):
                if holds(found := await self.events(topic)):
                    break
        return found

    async def first(self, kind: str, holds: Callable[[Any], bool] = lambda _data: True) -> Event:
        """The first event of that kind (``message.received``) whose data `holds` is true of."""

        def chosen(events: Sequence[Event]) -> list[Event]:
            return [event for event in events if event.type == f"omnibus.{kind}.v1" and holds(event.data)]

        return chosen(await self.until(lambda events: bool(chosen(events))))[0]


@asynccontextmanager
async def pipeline(folder: Path, config: str, port: int) -> AsyncIterator[Pipeline]:
    """Run a configuration, whose front door is at `port`, in `folder` until the end."""
    path = folder / "omnibus.yaml"
    path.write_text(config, "utf-8")
    async with running(configuration(path), STAGES) as services, ClientSession() as session:
        service: Any = services[0]  # every service has the one runtime
        yield Pipeline(f"http://127.0.0.1:{port}", service._runtime.bus, session)
