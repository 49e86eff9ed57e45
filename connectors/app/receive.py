"""The app receiver: the REST and WebSocket doors of one account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from connectors._shared.live.chat import LiveChat
from connectors._shared.live.files import Files
from connectors._shared.live.hub import Listener
from connectors._shared.live.receive import LiveReceiver, bearer_of
from connectors.app.chat import AppChat
from connectors.app.desk import AppDesk
from connectors.app.rest import Rest
from connectors.app.settings import AppSettings
from omnibus import clock
from omnibus.channel.receive import ReceiverTools


class AppReceiver(LiveReceiver):
    """One account's receiver."""

    def __init__(self, tools: ReceiverTools) -> None:
        settings = tools.account.settings
        assert isinstance(settings, AppSettings)
        self._desk = AppDesk(tools, settings)
        super().__init__(self._desk)
        self._files = Files(self._desk, SessionGuard(self._desk))
        self._rest = Rest(self._desk)

    async def run(self) -> None:
        await self._desk.devices.load(self._desk.tools.bus)
        await super().run()

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Below ``/ch/<account>``."""
        return [
            web.post("/devices", self._rest.register),
            web.delete("/devices/{device:[A-Za-z0-9_-]{8,64}}", self._rest.unregister),
            web.get("/messages", self._rest.missed),
            web.post("/messages", self._rest.messages),
            web.post("/receipts", self._rest.receipt),
            web.post("/files", self._files.upload),
            web.get("/files/{digest:[0-9a-f]{64}}", self._files.download),
            web.get("/ws", self.chat),
            web.post("/typing", self.typing),
        ]

    def begin(self, request: web.Request, socket: web.WebSocketResponse, remote: str) -> Callable[[Listener], LiveChat]:
        return lambda line: AppChat(self._desk, line, remote)


class SessionGuard:
    """Files are for those who show a session. Nothing of it is in a cookie, so no page can use it unasked."""

    def __init__(self, desk: AppDesk) -> None:
        self._desk = desk

    def admits(self, request: web.Request) -> bool:
        return True

    def asking(self, request: web.Request) -> str | None:
        person = self._desk.sessions.person_of(bearer_of(request), clock.now_ms())
        return None if person is None else person.thread

    def cors_headers(self, request: web.Request) -> Mapping[str, str]:
        return {}
