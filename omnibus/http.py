"""Outbound HTTP: one shared client, which reaches only where it may, reads only so much, and names what comes next.

The only importer of the HTTP client library. Addresses are checked when the connection is made, so neither a host name
that resolves to something else the second time nor a redirect gets around the check.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from typing import Any, Self

import aiohttp
import msgspec
import orjson
import structlog
from aiohttp.abc import AbstractResolver
from yarl import URL

from omnibus.errors import Refused, TryAgain
from omnibus.http_answer import Response, expect_ok, header, response_error, retry_after
from omnibus.http_guard import decoder, is_public
from omnibus.telemetry.redact import masked

MEGABYTE = 1_000_000
DEFAULT_TIMEOUT = timedelta(seconds=30)
CONNECT_TIMEOUT = timedelta(seconds=10)
CHUNK_BYTES = 64 * 1024
_FORBIDDEN = "address not allowed"
_KEPT_ACROSS_ORIGINS = frozenset({"accept", "accept-language", "range", "user-agent"})

__all__ = [
    "AddressRefused",
    "Download",
    "Http",
    "Part",
    "Response",
    "Socket",
    "SocketClosed",
    "expect_ok",
    "header",
    "response_error",
    "retry_after",
    "safe_url",
]

log = structlog.get_logger("omnibus.http")


class AddressRefused(Refused):
    """The address is not one we may reach (loopback, private, link-local, metadata ...): nothing was sent."""

    def __init__(self, host: str) -> None:
        super().__init__("MEDIA_NOT_REACHABLE", f"{host}: {_FORBIDDEN}")


class SocketClosed(TryAgain):
    """The other side closed the socket (or it broke): connect again. `close_code` is RFC 6455's, 1006 when it broke."""

    def __init__(self, close_code: int) -> None:
        super().__init__(f"the socket was closed with code {close_code}")
        self.close_code = close_code


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a multipart/form-data body."""

    name: str
    value: bytes
    file_name: str | None = None
    content_type: str | None = None


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """A body that arrives in chunks. Iterate `chunks` once, inside the ``async with`` that gave it."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]

    def header(self, name: str) -> str | None:
        return header(self.headers, name)


class Socket:
    """An open WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        """Raises SocketClosed."""
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, ConnectionError):
            raise SocketClosed(self._socket.close_code or 1006) from None

    async def receive(self) -> str | bytes:
        """The next message; pings are answered on the way. Raises SocketClosed."""
        message = await self._socket.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            data: str | bytes = message.data
            return data
        # The library forgets the other side's code when its own answer to the closing cannot be written any more.
        said = message.data if message.type is aiohttp.WSMsgType.CLOSE else self._socket.close_code
        raise SocketClosed(said or 1006)

    async def close(self, code: int = 1000) -> None:
        """Close with a code of RFC 6455, section 7.4; some servers keep a session unless it is 1000 or 1001."""
        await self._socket.close(code=code)


class Http:
    """The process's outbound HTTP client. Make one, share it, close it at the end (or use ``async with``).

    Requests made with `allow_private` (addresses the operator wrote into the configuration) and the others never share
    a connection. `may_reach` decides on literal addresses; `resolver` is for special name services.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        user_agent: str = "omnibus",
        connections: int = 200,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        may_reach: Callable[[str], bool] = is_public,
    ) -> None:
        self._may_reach = may_reach
        self._allow_private = allow_private
        self._user_agent = user_agent
        self._connections = connections
        self._tls: ssl.SSLContext | bool = tls or True
        self._resolver = resolver
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. A later request opens new ones."""
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        parts: Sequence[Part] | None = None,
        timeout: timedelta = DEFAULT_TIMEOUT,
        max_response_bytes: int = 10 * MEGABYTE,
        allow_private: bool | None = None,
        follow: int = 0,
    ) -> Response:
        """Send one request and read the whole answer, whatever its status.

        At most one of `body`, `json`, `form` and `parts`. `follow` redirects at most; a redirect to another origin
        loses all headers but the harmless ones. Raises TryAgain when no answer came (connect, TLS, time-out, broken
        off), AddressRefused, Refused when the answer is larger than `max_response_bytes` or the URL is not http(s).
        """
        data, content_type = _body(body=body, json=json, form=form, parts=parts)
        sent = dict(headers or {})
        if content_type and header(sent, "content-type") is None:
            sent["Content-Type"] = content_type
        request = _Request(method=method.upper(), url=_parse(url, query), headers=sent, data=data)
        async with await self._answer(request, timeout, allow_private, follow) as answer:
            chunks = [chunk async for chunk in _bounded(answer, max_response_bytes, "CHANNEL_FAILURE")]
            return Response(
                status=answer.status, headers=answer.headers.copy(), body=b"".join(chunks), url=str(answer.url)
            )

    @asynccontextmanager
    async def stream(
        self,
        url: str,
        *,
        max_bytes: int,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        timeout: timedelta = timedelta(minutes=5),
        allow_private: bool | None = None,
        follow: int = 5,
    ) -> AsyncIterator[Download]:
        """Download in chunks, bounded also after decompression.

        Raises as `request` does, as `response_error` does for a status that is not 2xx, and Refused
        (``MEDIA_TOO_LARGE``) as soon as the announced or the real size passes `max_bytes`.
        """
        request = _Request(method=method.upper(), url=_parse(url, query), headers=dict(headers or {}), data=None)
        async with await self._answer(request, timeout, allow_private, follow) as answer:
            if not 200 <= answer.status < 300:
                response_error(Response(status=answer.status, headers=answer.headers.copy()))
            if (answer.content_length or 0) > max_bytes:
                raise _too_large("MEDIA_TOO_LARGE", max_bytes)
            yield Download(headers=answer.headers.copy(), chunks=_bounded(answer, max_bytes, "MEDIA_TOO_LARGE"))

    @asynccontextmanager
    async def websocket(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        heartbeat: timedelta = timedelta(seconds=30),
        max_message_bytes: int = 4 * MEGABYTE,
        allow_private: bool | None = None,
    ) -> AsyncIterator[Socket]:
        """Connect a WebSocket (ws, wss). Raises TryAgain and AddressRefused as `request` does."""
        target = _parse(url, None, schemes=("ws", "wss"))
        session = self._session(self._allow_private if allow_private is None else allow_private)
        with _Explained(_host(target)):
            async with asyncio.timeout(DEFAULT_TIMEOUT.total_seconds()):
                opened = await session.ws_connect(
                    target, headers=headers, heartbeat=heartbeat.total_seconds(), max_msg_size=max_message_bytes
                )
        async with opened:
            yield Socket(opened)

    async def _answer(
        self, request: _Request, timeout: timedelta, allow_private: bool | None, follow: int
    ) -> aiohttp.ClientResponse:
        """The answer after at most `follow` redirects, its body unread; the caller releases it."""
        session = self._session(self._allow_private if allow_private is None else allow_private)
        limit = aiohttp.ClientTimeout(
            total=timeout.total_seconds(), sock_connect=min(timeout, CONNECT_TIMEOUT).total_seconds()
        )
        while True:
            answer = await _send(session, request, limit)
            try:
                following = _redirected(request, answer) if follow else None
            except Refused:
                answer.close()
                raise
            if following is None:
                return answer
            answer.release()
            request, follow = following, follow - 1

    def _session(self, allow_private: bool) -> aiohttp.ClientSession:
        """Two pools: a connection opened with leave to reach private addresses must not serve a guarded request."""
        if allow_private not in self._sessions:
            connector = aiohttp.TCPConnector(
                limit=self._connections,
                ssl=self._tls,
                resolver=self._resolver,
                socket_factory=None if allow_private else self._guarded_socket,
            )
            self._sessions[allow_private] = aiohttp.ClientSession(
                connector=connector,
                connector_owner=True,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "gzip"},
                trust_env=False,
            )
        return self._sessions[allow_private]

    def _guarded_socket(self, address_info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        """Called with the very address about to be connected to, after every name look-up."""
        family, kind, protocol, _, address = address_info
        if not self._may_reach(address[0]):
            raise OSError(_FORBIDDEN)
        return socket.socket(family, kind, protocol)


async def _send(
    session: aiohttp.ClientSession, request: _Request, limit: aiohttp.ClientTimeout
) -> aiohttp.ClientResponse:
    started = time.monotonic()
    with _Explained(_host(request.url)):
        answer = await session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.data,
            allow_redirects=False,
            timeout=limit,
        )
    ms = round((time.monotonic() - started) * 1000)
    log.debug("http.answer", method=request.method, url=_safe(request.url), status=answer.status, ms=ms)
    return answer


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    url: URL
    headers: dict[str, str]
    data: bytes | aiohttp.FormData | None


def safe_url(url: str) -> str:
    """The URL as logs may show it: no user-info, query or fragment, and known secrets in the path masked."""
    try:
        return _safe(URL(url))
    except ValueError:
        return "(not a URL)"


def _parse(url: str, query: Mapping[str, str] | None, schemes: Iterable[str] = ("http", "https")) -> URL:
    try:
        # Signed addresses (S3, Meta's media) break when their quoting is normalised.
        parsed = URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)
        parsed = parsed.update_query(query) if query else parsed
        usable = parsed.scheme in schemes and bool(parsed.host) and parsed.port is not None
    except ValueError:
        usable = False
    if not usable:
        raise Refused("MEDIA_NOT_REACHABLE", f"not a URL we can reach; accepted schemes: {', '.join(schemes)}")
    return parsed


def _body(
    *, body: bytes | None, json: object, form: Mapping[str, str] | None, parts: Sequence[Part] | None
) -> tuple[bytes | aiohttp.FormData | None, str | None]:
    if sum(given is not None for given in (body, json, form, parts)) > 1:
        raise ValueError("give one of body, json, form and parts")
    if json is not None:
        return orjson.dumps(json), "application/json"
    if parts is not None:
        return _multipart(parts), None
    if form is not None:
        return aiohttp.FormData(dict(form)), None
    return body, None


def _multipart(parts: Sequence[Part]) -> aiohttp.FormData:
    """Names go as UTF-8, as browsers send them (https://html.spec.whatwg.org/#multipart-form-data)."""
    data = aiohttp.FormData(default_to_multipart=True, quote_fields=False)
    for part in parts:
        data.add_field(part.name, _field(part), filename=part.file_name, content_type=part.content_type)
    return data


def _field(part: Part) -> BytesIO | str:
    """A field without a file name is text: bytes would make it a file to the client library, and to the provider.

    Files go as streams, because the library warns of (and blocks the loop with) large bytes.
    """
    return BytesIO(part.value) if part.file_name is not None else part.value.decode("utf-8", "replace")


def _redirected(request: _Request, answer: aiohttp.ClientResponse) -> _Request | None:
    """The request a redirect asks for (RFC 9110 section 15.4), None when the answer is none."""
    location = answer.headers.get("Location")
    if answer.status not in (301, 302, 303, 307, 308) or not location:
        return None
    target = request.url.join(_parse_location(location))
    _parse(str(target), None)
    if request.url.scheme == "https" and target.scheme == "http":
        raise Refused("MEDIA_NOT_REACHABLE", "redirected from https to http")
    keeps_body = answer.status in (307, 308) or request.method in ("GET", "HEAD")
    same_origin = target.origin() == request.url.origin()
    return _Request(
        method=request.method if keeps_body else "GET",
        url=target,
        headers=request.headers if same_origin and keeps_body else _harmless(request.headers),
        data=request.data if keeps_body and same_origin else None,
    )


def _parse_location(location: str) -> URL:
    try:
        return URL(location, encoded=location.isascii() and location.isprintable() and " " not in location)
    except ValueError:
        raise Refused("MEDIA_NOT_REACHABLE", "redirected to something that is not a URL") from None


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in _KEPT_ACROSS_ORIGINS}


class _Explained:
    """Turns the client library's exceptions into what happens next; their text may hold URLs, so it is dropped."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        match error:
            case aiohttp.ClientConnectorError() if _FORBIDDEN in str(error.os_error):
                raise AddressRefused(self._host) from None
            case aiohttp.ClientConnectorCertificateError():
                raise TryAgain(f"{self._host}: its TLS certificate is not trusted") from None
            case aiohttp.InvalidURL():
                raise Refused("MEDIA_NOT_REACHABLE", "not a URL we can reach") from None
            case TimeoutError():
                raise TryAgain(f"{self._host}: no answer in time") from None
            case aiohttp.WSServerHandshakeError():
                response_error(Response(status=error.status, headers=error.headers or {}))
            case aiohttp.ClientError() | OSError():
                raise TryAgain(f"{self._host}: {type(error).__name__}") from None


async def _bounded(answer: aiohttp.ClientResponse, max_bytes: int, code: str) -> AsyncIterator[bytes]:
    """The decoded body; stops as soon as it is larger than `max_bytes`, before more than a chunk is unpacked."""
    unpack = decoder(answer.headers.get("Content-Encoding", ""))
    pieces = answer.content.iter_chunked(CHUNK_BYTES)
    size = 0
    while raw := await _next_piece(pieces, _host(answer.url)):
        for chunk in unpack(raw):
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(code, max_bytes)
            yield chunk
    unpack.finish()


async def _next_piece(pieces: AsyncIterator[bytes], host: str) -> bytes:
    with _Explained(host):
        return await anext(pieces, b"")


def _too_large(code: str, max_bytes: int) -> Refused:
    return Refused(code, f"the answer is larger than {max_bytes} bytes")


def _host(url: URL) -> str:
    return url.host or "(no host)"


def _safe(url: URL) -> str:
    return masked(str(url.with_user(None).with_query(None).with_fragment(None)))
