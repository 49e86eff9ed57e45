"""A reference client of the app protocol: what a phone does, in Python.

For tests, load generators and programs that speak for a user; apps in other languages can follow it step by step
(``docs/reference/app-protocol.md``). Everything somebody writes goes into the `Outbox` first and leaves it when it is
acknowledged, over as many connections as that takes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from connectors._shared.live.frames import (
    Ack,
    Choice,
    Entry,
    Frame,
    HistoryPage,
    Place,
    Pong,
    Postback,
    Problem,
    Push,
    Receipt,
    Say,
    Typing,
    UploadedFile,
    write_frame,
)
from connectors.app.protocol import MAX_BATCH, Hello, Missed, Registered, Registration, Results, Welcome, Written
from omnibus import clock
from omnibus.errors import InvalidPayload, Refused, TryAgain
from omnibus.http import Http, Part, Response, Socket, retry_after

KNOWN = 1_000
"""So many entries are remembered by id, to show each of them once."""
FIRST_PAUSE = timedelta(milliseconds=500)
LONGEST_PAUSE = timedelta(seconds=30)

OutFrame = Say | Choice | Postback | Place
InFrame = Welcome | Push | Ack | HistoryPage | Typing | Problem | Pong

_frames: msgspec.json.Decoder[InFrame] = msgspec.json.Decoder(InFrame)
_waiting = msgspec.json.Decoder(list[Written | Choice | Postback | Place])
_encoder = msgspec.json.Encoder()

T = TypeVar("T")


class Outbox:
    """What waits to be acknowledged, in the order it was written. Keep `saved()` where the app keeps its data."""

    def __init__(self, saved: bytes = b"[]") -> None:
        self._frames: OrderedDict[str, OutFrame] = OrderedDict((frame.id, frame) for frame in _waiting.decode(saved))

    def saved(self) -> bytes:
        """All of it, for the next start of the app."""
        return _encoder.encode(list(self._frames.values()))

    def put(self, frame: OutFrame) -> str:
        """Queue a frame; its id."""
        self._frames[frame.id] = frame
        return frame.id

    def done(self, frame_id: str) -> None:
        """Acknowledged, or refused for good."""
        self._frames.pop(frame_id, None)

    def first(self, count: int) -> Sequence[OutFrame]:
        """The oldest ones."""
        return list(self._frames.values())[:count]

    def __len__(self) -> int:
        return len(self._frames)


class AppClient:
    """One device of one person. `proof` gives the fields of a registration that prove who uses it, each time anew:
    ``{"token": ...}`` or ``{"user": {...}}``, as the company's server made them. `url` ends with ``/ch/<account>``.
    """

    def __init__(
        self,
        http: Http,
        url: str,
        device_id: str,
        proof: Callable[[], Mapping[str, Any]],
        *,
        platform: str = "other",
        push_token: str | None = None,
        app_version: str | None = None,
        outbox: Outbox | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._device_id = device_id
        self._proof = proof
        self._about = {"platform": platform, "push_token": push_token, "app_version": app_version}
        self._sleep = sleep
        self._known: OrderedDict[str, None] = OrderedDict()
        self.outbox = outbox or Outbox()
        self.registered: Registered | None = None
        self.last_key: str | None = None
        """The key of the newest entry this device has; keep it together with the entries."""

    # --- who we are -------------------------------------------------------------------------------

    async def register(self) -> Registered:
        """Exchange the proof for a session. Raises Refused (nobody vouches for the user), TryAgain."""
        fields = {"device_id": self._device_id, **self._about, **self._proof()}
        registration = msgspec.convert({name: value for name, value in fields.items() if value}, Registration)
        answer = await self._http.request(
            "POST", f"{self._url}/devices", body=_encoder.encode(registration), headers=_JSON
        )
        self.registered = _decoded(_welcome(answer), Registered)
        return self.registered

    async def unregister(self) -> None:
        """The user logs out: this device is not to be woken for them any more."""
        await self._request("DELETE", f"/devices/{self._device_id}")
        self.registered = None

    # --- writing ----------------------------------------------------------------------------------

    def write(self, text: str = "", *, files: Sequence[UploadedFile] = (), in_reply_to: str | None = None) -> str:
        """Queue a message; its id. It leaves with `flush`, or with the next line of `entries`."""
        return self.outbox.put(
            Written(id=_new_id(), text=text, files=tuple(files), in_reply_to=in_reply_to, written_at=clock.now())
        )

    def choose(self, entry: Entry, option_id: str) -> str:
        """Queue the press of one of an entry's buttons; its id."""
        title = next((option.title for option in entry.options if option.id == option_id), "")
        return self.outbox.put(Choice(id=_new_id(), option_id=option_id, title=title, in_reply_to=entry.id))

    def show(self, lat: float, lon: float, name: str = "") -> str:
        """Queue a place; its id."""
        return self.outbox.put(Place(id=_new_id(), lat=lat, lon=lon, name=name))

    async def flush(self) -> Sequence[Problem]:
        """Send what waits, over REST; what was refused for good. Raises TryAgain when some of it has to wait."""
        refused: list[Problem] = []
        while batch := self.outbox.first(MAX_BATCH):
            body = b'{"messages":' + _encoder.encode(batch) + b"}"
            answer = await self._request("POST", "/messages", body=body)
            for frame, result in zip(batch, _decoded(answer, Results).results, strict=True):
                if isinstance(result, Problem) and result.after_ms is not None:
                    raise TryAgain(result.detail, after=timedelta(milliseconds=result.after_ms))
                self.outbox.done(frame.id)
                if isinstance(result, Problem):
                    refused.append(result)
        return refused

    async def upload(self, name: str, mime: str, data: bytes) -> UploadedFile:
        """Bring a file; put what comes back into `write`. Raises Refused when it is not taken."""
        part = Part(name="file", value=data, file_name=name, content_type=mime)
        return _decoded(await self._request("POST", "/files", parts=[part]), UploadedFile)

    async def receipt(self, ids: Sequence[str], status: str) -> None:
        """Entries of the other side are `delivered`, or `read`."""
        await self._request("POST", "/receipts", body=_encoder.encode({"ids": list(ids), "status": status}))

    # --- reading ----------------------------------------------------------------------------------

    async def sync(self) -> Missed:
        """What came since `last_key`, without a line (after a push notification, for example)."""
        query = {} if self.last_key is None else {"after": self.last_key}
        missed = _decoded(await self._request("GET", "/messages", query=query), Missed)
        return msgspec.structs.replace(missed, entries=tuple(self._new(missed.entries)))

    async def download(self, address: str) -> bytes:
        """A file of an entry, by its `url`."""
        return (await self._request("GET", f"/{address}")).body

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """A line that has been welcomed. Raises Refused, TryAgain."""
        if self.registered is None:
            await self.register()
        assert self.registered is not None
        address = "ws" + self._url.removeprefix("http") + "/ws"
        async with self._http.websocket(address) as socket:
            line = Line(socket)
            await line.send(Hello(session=self.registered.session, after=self.last_key))
            yield line

    async def entries(self) -> AsyncIterator[Entry]:
        """Every entry, once, as it comes: over lines that are opened again for as long as this is iterated. Each
        sends what waits in the outbox. Raises Refused when nobody vouches for the user any more."""
        pause = FIRST_PAUSE
        while True:
            try:
                async with self.line() as line:
                    async for frame in self._lived(line):
                        pause = FIRST_PAUSE
                        for entry in self._new(_entries_in(frame)):
                            yield entry
            except TryAgain as fault:
                await self._sleep(max(pause, fault.after or pause).total_seconds())
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _lived(self, line: Line) -> AsyncIterator[InFrame]:
        """The frames of one line. What waits is sent after the welcome: in a batch, which keeps its order."""
        while True:
            frame = await line.next()
            match frame:
                case Welcome():
                    await self.flush()
                case Problem(code="identity_refused"):
                    await self.register()
                    raise TryAgain("the session was refused")
                case _:
                    pass
            yield frame

    def _new(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries not seen before; they may come more than once."""
        found = [entry for entry in entries if entry.id not in self._known]
        for entry in found:
            self._known[entry.id] = None
            self.last_key = max(self.last_key or "", entry.key)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return found

    async def _request(self, method: str, path: str, **options: Any) -> Response:
        """With the session; registered anew when it has ended."""
        if self.registered is None:
            await self.register()
        answer = await self._send(method, path, **options)
        if answer.status == 401:
            await self.register()
            answer = await self._send(method, path, **options)
        return _welcome(answer)

    async def _send(self, method: str, path: str, **options: Any) -> Response:
        assert self.registered is not None
        headers = {"Authorization": f"Bearer {self.registered.session}"}
        if "body" in options:
            headers |= _JSON
        return await self._http.request(method, f"{self._url}{path}", headers=headers, **options)


class Line:
    """An open line."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def send(self, frame: Frame) -> None:
        """Raises SocketClosed, which is a TryAgain."""
        await self._socket.send(write_frame(frame))

    async def receipt(self, *ids: str, status: Any = "read") -> None:
        """Entries of the other side are `delivered`, or `read`."""
        await self.send(Receipt(ids=ids, status=status))

    async def next(self) -> InFrame:
        """The next frame; those of a newer server, which we do not know, are passed over. Raises SocketClosed."""
        while True:
            data = await self._socket.receive()
            try:
                return _frames.decode(data)
            except msgspec.ValidationError:
                continue


_JSON = {"Content-Type": "application/json"}


def _new_id() -> str:
    return secrets.token_hex(8)


def _entries_in(frame: InFrame) -> Sequence[Entry]:
    match frame:
        case Welcome() | HistoryPage():
            return frame.entries
        case Push():
            return (frame.entry,)
        case _:
            return ()


def _welcome(answer: Response) -> Response:
    """The answer, when it is a good one."""
    if answer.ok:
        return answer
    if answer.status in (408, 429) or answer.status >= 500:
        raise TryAgain(f"HTTP {answer.status}", after=retry_after(answer.headers))
    code = "NO_PERMISSION" if answer.status in (401, 403) else "UNSUPPORTED_OPERATION"
    raise Refused(code, f"HTTP {answer.status}", native_code=str(answer.status))


def _decoded(answer: Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        raise InvalidPayload("answer", str(error)) from None
