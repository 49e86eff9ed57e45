"""A fake provider: a real HTTP server on loopback that plays a script, and an outbound client that goes there."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web
from yarl import URL

from omnibus.http import Download, Http, Response
from omnibus.testing.readable import difference, shortened
from omnibus.testing.served import served

ORIGIN_HEADER = "X-Original-Origin"
ANYTHING = "*"
"""In an expected header: any value that is not empty."""

PATIENCE = timedelta(milliseconds=300)
"""How long a sender waits for a provider that never answers."""
LONG = timedelta(seconds=30)
"""And for one that does: the machine may be busy."""


class ExpectedRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call the sender has to make. Headers are a subset; `body` is JSON, a text, {"form": ...} or {"parts": ...}."""

    method: str = "POST"
    url: str
    headers: dict[str, str] = {}
    body: Any = None


class ScriptedResponse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the provider answers; `silent` takes the request and never answers, `dropped` closes the connection."""

    status: int = 200
    headers: dict[str, str] = {}
    body: Any = ""
    how: Literal["answers", "silent", "dropped"] = "answers"

    @property
    def content(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False).encode()

    @property
    def content_type(self) -> str:
        return "text/plain" if isinstance(self.body, str) else "application/json"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the script."""

    request: ExpectedRequest
    response: ScriptedResponse = ScriptedResponse()


class ProviderHttp(Http):
    """The outbound client of a sender under test: every address leads to the fake provider."""

    def __init__(self, provider_url: str, patience: timedelta = LONG) -> None:
        super().__init__(allow_private=True)
        self._provider = URL(provider_url)
        self._patience = patience

    async def request(self, method: str, url: str, **options: Any) -> Response:
        options.update(headers=self._marked(url, options.get("headers")), allow_private=True, timeout=self._patience)
        return await super().request(method, self._led_astray(url), **options)

    @asynccontextmanager
    async def stream(self, url: str, **options: Any) -> AsyncIterator[Download]:
        options.update(headers=self._marked(url, options.get("headers")), allow_private=True, timeout=self._patience)
        async with super().stream(self._led_astray(url), **options) as download:
            yield download

    def _led_astray(self, url: str) -> str:
        parsed = URL(url, encoded=True)
        return str(self._provider.with_path(parsed.raw_path, encoded=True)) + (
            f"?{parsed.raw_query_string}" if parsed.raw_query_string else ""
        )

    def _marked(self, url: str, headers: Mapping[str, str] | None) -> dict[str, str]:
        return {**(headers or {}), ORIGIN_HEADER: str(URL(url, encoded=True).origin())}


class FakeProvider:
    """Plays its calls in order and notes what came otherwise; `problems` is empty when all went as the script says."""

    def __init__(self, calls: Sequence[Call], *, checks: bool = True) -> None:
        self._calls = list(calls)
        self._checks = checks
        self._done = asyncio.Event()
        self.played = 0
        self.problems: list[str] = []

    @asynccontextmanager
    async def served(self) -> AsyncIterator[ProviderHttp]:
        """Serve on a free port; yields the client that leads here."""
        patience = PATIENCE if any(call.response.how == "silent" for call in self._calls) else LONG
        async with served(web.Server(self._handle, access_log=None)) as url, ProviderHttp(url, patience) as http:
            try:
                yield http
            finally:
                self._done.set()

    def unused(self) -> list[str]:
        """The calls of the script that nobody made."""
        return [f"{call.request.method} {call.request.url}" for call in self._calls[self.played :]]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if self.played >= len(self._calls):
            self.problems.append(f"an unexpected call: {request.method} {_url(request)}")
            return web.Response(status=500)
        call = self._calls[self.played]
        self.played += 1
        if self._checks:
            self.problems.extend(_differences(call.request, request, body))
        return await self._respond(call.response, request)

    async def _respond(self, response: ScriptedResponse, request: web.BaseRequest) -> web.StreamResponse:
        if response.how == "silent":
            await self._done.wait()
        if response.how != "answers":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        headers = {"Content-Type": response.content_type, **response.headers}
        return web.Response(status=response.status, headers=headers, body=response.content)


def _differences(expected: ExpectedRequest, request: web.BaseRequest, body: bytes) -> list[str]:
    name = f"{expected.method} {expected.url}"
    found = []
    if (request.method, _comparable(_url(request))) != (expected.method, _comparable(expected.url)):
        found.append(f"expected {name}, got {request.method} {_url(request)}")
    for header, value in expected.headers.items():
        given = request.headers.get(header)
        if given != value and not (value == ANYTHING and given):
            found.append(f"{name}: header {header}: expected {value!r}, got {shortened(given)}")
    if expected.body is not None:
        wrong = difference(expected.body, _body_like(expected.body, request, body), "expected body", "sent body")
        if wrong:
            found.append(f"{name}:\n{wrong}")
    return found


def _url(request: web.BaseRequest) -> str:
    return f"{request.headers.get(ORIGIN_HEADER, '')}{request.raw_path}"


def _comparable(url: str) -> tuple[str, list[tuple[str, str]]]:
    """Query parameters have no order."""
    address, _, query = url.partition("?")
    return address, sorted(parse_qsl(query, keep_blank_values=True))


def _body_like(expected: Any, request: web.BaseRequest, body: bytes) -> Any:
    """The sent body in the notation the fixture uses."""
    match expected:
        case str():
            return body.decode("utf-8", "replace")
        case {"form": _, **rest} if not rest:
            return {"form": dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))}
        case {"parts": _, **rest} if not rest:
            return {"parts": _parts(request.headers.get("Content-Type", ""), body)}
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def _parts(content_type: str, body: bytes) -> dict[str, Any]:
    """A multipart body: a text for a field, {file_name, content_type, text | base64} for a file."""
    boundary = content_type.partition("boundary=")[2].strip('"')
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:-1] if boundary else []
    parts: dict[str, Any] = {}
    for piece in pieces:
        head, _, data = piece.partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n"))
        headers = {name.strip().lower(): value.strip() for name, _, value in lines}
        told = _parameters(headers.get("content-disposition", ""))
        parts[told.get("name", "")] = _part(data, told.get("filename"), headers.get("content-type", ""))
    return parts


def _parameters(value: str) -> dict[str, str]:
    pairs = (each.partition("=") for each in value.split(";"))
    return {name.strip(): text.strip('"') for name, _, text in pairs}


def _part(data: bytes, file_name: str | None, content_type: str) -> Any:
    try:
        content = {"text": data.decode()}
    except UnicodeDecodeError:
        content = {"base64": base64.b64encode(data).decode()}
    if file_name is None:
        return content.get("text", content)
    return {"file_name": file_name, "content_type": content_type, **content}
