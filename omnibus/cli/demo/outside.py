"""The world outside, on loopback: where replies arrive (a webhook, a Bot API, a mail server)."""

from __future__ import annotations

import email
import email.policy
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from omnibus.cli.demo.doors import picture
from omnibus.testing.served import served

Heard = Callable[[str], None]


@asynccontextmanager
async def reply_server(port: int, heard: Heard) -> AsyncIterator[None]:
    """Takes replies at ``/replies`` and events at ``/queues``; plays the Bot API at ``/bot<token>/<method>``."""
    ids = itertools.count(1_000_000)

    async def replies(request: web.Request) -> web.Response:
        body = await request.json()
        heard(str(body["content"].get("text", "")))
        return web.Response()

    async def queues(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    async def bot(request: web.Request) -> web.Response:
        method = request.match_info["method"]
        form = await request.json() if request.content_type == "application/json" else await request.post()
        if method == "getFile":
            file = str(form["file_id"])
            return web.json_response({"ok": True, "result": {"file_id": file, "file_path": f"{file}.png"}})
        if method == "sendMessage":
            heard(str(form["text"]))
        chat = {"id": int(str(form.get("chat_id", 0))), "type": "private"}
        return web.json_response({"ok": True, "result": {"message_id": next(ids), "date": 0, "chat": chat}})

    async def file(request: web.Request) -> web.Response:
        return web.Response(body=picture(request.match_info["path"]), content_type="image/png")

    app = web.Application()
    app.router.add_post("/replies", replies)
    app.router.add_post("/queues", queues)
    app.router.add_post("/bot{token}/{method}", bot)
    app.router.add_get("/file/bot{token}/{path:.+}", file)
    async with served(app, port):
        yield


class _Mailbox:
    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        content = envelope.content or b""
        data = content if isinstance(content, bytes) else content.encode()
        mail = email.message_from_bytes(data, policy=email.policy.default)
        body = mail.get_body(("plain",))
        self._heard(body.get_content() if body is not None else "")
        return "250 taken"


@asynccontextmanager
async def mail_server(port: int, heard: Heard) -> AsyncIterator[None]:
    """Takes the mail that Omnibus sends."""
    controller = Controller(_Mailbox(heard), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()
