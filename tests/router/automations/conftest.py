"""A bot on loopback whose behaviour each test decides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from omnibus.http import Http
from omnibus.testing.served import served

SECRET = "whsec_aW52ZW50ZWQtZm9yLXRlc3RzLW9ubHkh"


@dataclass
class Bot:
    """What it was asked, and what it answers: a status and a body, or a coroutine to wait for first."""

    url: str = ""
    status: int = 200
    body: Any = field(default_factory=dict)
    before: Callable[[], Awaitable[object]] | None = None
    questions: list[dict[str, Any]] = field(default_factory=list)

    async def ask(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.questions.append(Webhook(SECRET).verify(body, dict(request.headers)))
        if self.before is not None:
            await self.before()
        data = self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)
        return web.Response(status=self.status, body=data)


@pytest.fixture
async def bot() -> AsyncIterator[Bot]:
    it = Bot()
    app = web.Application()
    app.router.add_post("/", it.ask)
    async with served(app) as url:
        it.url = f"{url}/"
        yield it


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as client:
        yield client
