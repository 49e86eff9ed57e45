"""The front doors, from outside: HTTP, WebSocket and SMTP, as providers and browsers use them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any, Protocol

import aiosmtplib
import orjson
from aiohttp import ClientSession, FormData, WSMsgType

from omnibus import clock
from omnibus.cli.demo.people import Person
from omnibus.cli.demo.script import Step, Talk

WAIT_S = 20


class Refusal(Exception):
    """The door refused a step: fine where the script means it, a finding where not."""


class Entrance(Protocol):
    """One account's front door. `play` plays one step; `talk` wraps what a whole conversation shares (a socket)."""

    def talk(self, talk: Talk) -> Any:
        """An async context manager that gives what `play` needs."""
        ...

    async def play(self, held: Any, talk: Talk, step: Step) -> None:
        """Returns when the door has said yes. Raises Refusal when it says no."""
        ...


def picture(seed: str) -> bytes:
    """A small PNG of one colour, different for every seed."""
    colour = hashlib.sha256(seed.encode()).digest()[:3]
    rows = b"".join(b"\0" + colour * 16 for _ in range(16))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


async def _post(session: ClientSession, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    async with session.post(url, data=body, headers={"Content-Type": "application/json", **headers}) as answer:
        if answer.status >= 300:
            raise Refusal(f"HTTP {answer.status}")


class WebhookDoor:
    """``POST /in/<account>`` with JSON; signed when the account has a secret."""

    def __init__(self, session: ClientSession, url: str, secret: str | None, header: str = "X-Signature") -> None:
        self._session = session
        self._url = url
        self._secret = secret
        self._header = header

    @asynccontextmanager
    async def talk(self, talk: Talk) -> AsyncIterator[None]:
        yield

    async def play(self, held: None, talk: Talk, step: Step) -> None:
        body = self._body(talk.person, step)
        await _post(self._session, self._url, body, self._signature(body, forged=step.shape == "forged"))

    def _body(self, who: Person, step: Step) -> bytes:
        if step.shape == "broken":
            return b'{"id": "' + step.tags[0].encode() + b'", "text": '
        messages = [
            {"id": tag, "from": {"id": who.handle, "name": who.name, "email": who.address}, "text": step.text(index)}
            for index, tag in enumerate(step.tags)
        ]
        return orjson.dumps(messages if len(messages) > 1 else messages[0])

    def _signature(self, body: bytes, *, forged: bool) -> dict[str, str]:
        if self._secret is None:
            return {}
        signature = hmac.new(self._secret.encode(), body + (b"!" if forged else b""), hashlib.sha256).hexdigest()
        return {self._header: signature}


class TelegramDoor:
    """``POST /in/<account>`` as the Bot API does: updates with ids that grow, and the secret token header."""

    def __init__(self, session: ClientSession, url: str, secret: str, first_chat: int) -> None:
        self._session = session
        self._url = url
        self._secret = secret
        self._first_chat = first_chat
        self._update_id = first_chat * 1_000
        self._message_ids: dict[str, int] = {}
        self._dates: dict[str, int] = {}

    @asynccontextmanager
    async def talk(self, talk: Talk) -> AsyncIterator[None]:
        yield

    async def play(self, held: None, talk: Talk, step: Step) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": "forged" if step.shape == "forged" else self._secret}
        for update in self._updates(talk, step):
            await _post(self._session, self._url, update, headers)

    def _updates(self, talk: Talk, step: Step) -> list[bytes]:
        if step.shape == "broken":
            return [b'{"update_id": "#' + step.tags[0].encode() + b'", "message": 7']
        message = self._message(talk, step)
        if step.shape == "edit":
            return [self._update("edited_message", message | {"edit_date": message["date"] + 5})]
        if step.shape == "early_edit":
            edited = message | {"edit_date": message["date"] + 5}
            return [self._update("edited_message", edited), self._update("message", message)]
        return [self._update("message", message)]

    def _update(self, kind: str, message: Mapping[str, Any]) -> bytes:
        self._update_id += 1
        return orjson.dumps({"update_id": self._update_id, kind: message})

    def _message(self, talk: Talk, step: Step) -> dict[str, Any]:
        chat = self._first_chat + talk.number
        message_id = self._message_ids.setdefault(step.tags[0], len(self._message_ids) + 1)
        first, _, last = talk.person.name.partition(" ")
        who = {"id": chat, "is_bot": False, "first_name": first, "last_name": last, "username": talk.person.handle}
        message: dict[str, Any] = {
            "message_id": message_id,
            "from": who,
            "chat": {"id": chat, "type": "private", "first_name": first},
            "date": self._dates.setdefault(step.tags[0], clock.now_ms() // 1000),  # a copy has the time of the first
        }
        if step.shape == "picture":
            photo = {"file_id": f"photo-{step.tags[0]}", "file_unique_id": step.tags[0], "width": 16, "height": 16}
            return message | {"photo": [photo], "caption": step.text()}
        return message | {"text": step.text()}


class WebchatDoor:
    """``/ch/<account>/ws`` as the widget uses it. `heard` is called with the words of every entry of our side."""

    def __init__(self, session: ClientSession, url: str, heard: Callable[[str], None]) -> None:
        self._session = session
        self._url = url
        self._heard = heard

    @asynccontextmanager
    async def talk(self, talk: Talk) -> AsyncIterator[_Chat]:
        async with self._session.ws_connect(f"{self._url}/ws") as socket:
            chat = _Chat(socket, self._heard)
            reading = asyncio.create_task(chat.read())
            try:
                await socket.send_json({"type": "hello", "locale": talk.person.language})
                await asyncio.wait_for(chat.welcomed.wait(), WAIT_S)
                yield chat
            finally:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading

    async def play(self, held: _Chat, talk: Talk, step: Step) -> None:
        if step.shape == "broken":
            await held.ask({"type": "message", "id": "no", "text": 7}, id_=None)
            return
        frame: dict[str, Any] = {"type": "message", "id": f"demo-{step.tags[0]}", "text": step.text()}
        if step.shape == "picture":
            frame["files"] = [await self._upload(held, step)]
        await held.ask(frame, id_=frame["id"])

    async def _upload(self, chat: _Chat, step: Step) -> Any:
        form = FormData()
        form.add_field("file", picture(step.tags[0]), filename="picture.png", content_type="image/png")
        headers = {"Authorization": f"Bearer {chat.session}"}
        async with self._session.post(f"{self._url}/files", data=form, headers=headers) as answer:
            if answer.status >= 300:
                raise Refusal(f"upload: HTTP {answer.status}")
            return await answer.json()


class _Chat:
    """One socket: answers are matched to questions by their id."""

    def __init__(self, socket: Any, heard: Callable[[str], None]) -> None:
        self._socket = socket
        self._heard = heard
        self._waiting: dict[str | None, asyncio.Future[dict[str, Any]]] = {}
        self.welcomed = asyncio.Event()
        self.session = ""

    async def ask(self, frame: Mapping[str, Any], id_: str | None) -> None:
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[id_] = answer
        await self._socket.send_json(frame)
        said = await asyncio.wait_for(answer, WAIT_S)
        if said["type"] == "error":
            raise Refusal(said["code"])

    async def read(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                self._take(orjson.loads(message.data))

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "welcome":
            self.session = frame["session"]
            self.welcomed.set()
        elif frame["type"] in ("ack", "error"):
            answer = self._waiting.pop(frame.get("id"), None)
            if answer is not None and not answer.done():
                answer.set_result(frame)
        elif frame["type"] == "message" and frame["entry"]["author"] != "visitor":
            self._heard(frame["entry"].get("text", ""))


class MailDoor:
    """The SMTP listener, as another mail server uses it."""

    def __init__(self, host: str, port: int, to: str) -> None:
        self._host = host
        self._port = port
        self._to = to

    @asynccontextmanager
    async def talk(self, talk: Talk) -> AsyncIterator[list[str]]:
        yield []

    async def play(self, held: list[str], talk: Talk, step: Step) -> None:
        data = self._mail(held, talk, step)
        try:
            async with aiosmtplib.SMTP(hostname=self._host, port=self._port, timeout=WAIT_S, start_tls=False) as server:
                await server.sendmail(talk.person.address, [self._to], data)
        except aiosmtplib.SMTPResponseException as error:
            raise Refusal(f"SMTP {error.code}") from error

    def _mail(self, before: list[str], talk: Talk, step: Step) -> bytes:
        id_ = f"<{step.tags[0]}@example.org>"
        if step.shape == "broken":
            return (
                f"From: {talk.person.address}\r\nTo: {self._to}\r\nSubject: =?utf-8?B?broken\r\nMessage-ID: {id_}\r\n"
                "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=nowhere\r\n\r\n"
                f"#{step.tags[0]} a mail without its parts\r\n"
            ).encode()
        mail = EmailMessage()
        mail["From"] = f"{talk.person.name} <{talk.person.address}>"
        mail["To"] = self._to
        mail["Subject"] = f"{'Re: ' if before else ''}Help #{talk.person.handle}"
        mail["Message-ID"] = id_
        earlier = [one for one in before if one != id_]
        if earlier:
            mail["In-Reply-To"] = earlier[-1]
            mail["References"] = " ".join(earlier)
        mail.set_content(step.text() + "\n")
        if step.shape == "html":
            mail.add_alternative(f"<p>{step.text()}</p>", subtype="html")
        if step.shape == "picture":
            mail.add_attachment(picture(step.tags[0]), maintype="image", subtype="png", filename="picture.png")
        if id_ not in before:
            before.append(id_)
        return mail.as_bytes()
