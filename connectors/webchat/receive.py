"""The web chat receiver: serves the widget and its socket, and pushes what enters the history to open chats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from connectors._shared.live.chat import LiveChat
from connectors._shared.live.files import Files
from connectors._shared.live.hub import Listener
from connectors._shared.live.receive import LiveReceiver
from connectors.webchat.chat import Chat
from connectors.webchat.desk import Desk
from connectors.webchat.door import Door
from connectors.webchat.identity import Signer, new_visitor
from connectors.webchat.pages import page_routes
from connectors.webchat.settings import WebchatSettings
from omnibus import clock
from omnibus.channel.receive import ReceiverTools


class WebchatReceiver(LiveReceiver):
    """One account's receiver."""

    def __init__(self, tools: ReceiverTools) -> None:
        settings = tools.account.settings
        assert isinstance(settings, WebchatSettings)
        self._signer = Signer(settings.cookie_secret.reveal(), tools.account.name)
        self._desk = Desk(tools, settings, self._signer)
        super().__init__(self._desk)
        self._door = Door(tools.account, settings, self._signer)
        self._files = Files(self._desk, self._door)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Below ``/ch/<account>``."""
        return [
            web.get("/ws", self.chat),
            web.post("/files", self._files.upload),
            web.options("/files", self._files.preflight),
            web.get("/files/{digest:[0-9a-f]{64}}", self._files.download),
            web.post("/typing", self.typing),
            *page_routes(),
        ]

    def refusal(self, request: web.Request, remote: str) -> web.Response | None:
        """The page is looked at before anything is counted."""
        if not self._door.admits(request):
            self._desk.rejected("origin")
            return web.json_response({"error": 403, "detail": "this page may not embed the chat"}, status=403)
        return super().refusal(request, remote)

    def begin(self, request: web.Request, socket: web.WebSocketResponse, remote: str) -> Callable[[Listener], LiveChat]:
        now_ms = clock.now_ms()
        browser = self._door.cookie_visitor(request, now_ms) or new_visitor()
        self._door.set_cookie(request, socket, self._signer.token(browser, now_ms))
        return lambda line: Chat(desk=self._desk, line=line, remote=remote, browser=browser)
