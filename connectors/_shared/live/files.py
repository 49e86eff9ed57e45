"""Files of a chat: uploads streamed into the blob store, downloads for those who have the file in their history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol
from urllib.parse import quote

import msgspec
from aiohttp import BodyPartReader, web

from connectors._shared.live.desk import LiveDesk
from omnibus import clock
from omnibus.blobs import PREFIX, BlobMissing
from omnibus.errors import Refused, TryAgain

UPLOADS_AT_ONCE = 16
UPLOAD_S = 120.0
CHUNK_BYTES = 64 * 1024
FORM_BYTES = 64 * 1024
"""What a multipart form adds to the file in it, at most."""

SHOWN_IN_PAGE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
BEGINNINGS = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
    "application/pdf": (b"%PDF-",),
    "audio/ogg": (b"OggS",),
    "audio/wav": (b"RIFF",),
    "audio/webm": (b"\x1aE\xdf\xa3",),
    "video/webm": (b"\x1aE\xdf\xa3",),
}
"""How files of these types begin (https://www.iana.org/assignments/media-types/, https://mimesniff.spec.whatwg.org/)."""
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Whatever the file is, it runs nothing and embeds nothing in our origin.
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=3600",
}


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an upload: what a message frame says about the file."""

    uri: str
    name: str
    mime: str
    size: int
    ticket: str


class Guard(Protocol):
    """Who may bring and fetch files."""

    def admits(self, request: web.Request) -> bool:
        """Whether the page (or program) that asks may use this account at all."""
        ...

    def asking(self, request: web.Request) -> str | None:
        """The thread of the person who asks; None for somebody unknown."""
        ...

    def cors_headers(self, request: web.Request) -> Mapping[str, str]:
        """What lets a page of another origin read the answer."""
        ...


class Files:
    """The two file routes of one account."""

    def __init__(self, desk: LiveDesk, guard: Guard) -> None:
        self._desk = desk
        self._guard = guard
        self._at_once = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def preflight(self, request: web.Request) -> web.Response:
        """May the embedding page upload here? (https://fetch.spec.whatwg.org/#http-cors-protocol)"""
        return web.Response(status=204, headers=self._guard.cors_headers(request))

    async def upload(self, request: web.Request) -> web.Response:
        """``POST /files``, multipart/form-data with one part ``file``."""
        headers = dict(self._guard.cors_headers(request))
        try:
            async with asyncio.timeout(UPLOAD_S):
                uploaded = await self._upload(request)
        except TimeoutError:
            return _error(408, "the upload took too long", headers)
        except Refused as refusal:
            return _error(_STATUS.get(refusal.code, 400), refusal.reason, headers)
        except TryAgain:
            return _error(503, "try again", headers | {"Retry-After": "2"})
        return web.Response(body=msgspec.json.encode(uploaded), content_type="application/json", headers=headers)

    async def _upload(self, request: web.Request) -> Uploaded:
        thread = self._thread_of(request)
        bounds = self._desk.bounds
        if self._desk.uploads.take(thread, clock.now_ms()):
            raise Refused("RATE_LIMITED", "too many files")
        if self._at_once.locked():
            raise TryAgain("too many uploads at once")
        if (request.content_length or 0) > bounds.max_file_size + FORM_BYTES:
            raise Refused("MEDIA_TOO_LARGE", f"larger than {bounds.max_file_size} bytes")
        async with self._at_once:
            part = await _file_part(request)
            mime = _mime_of(part)
            if mime not in bounds.file_types:
                raise Refused("MEDIA_TYPE_UNSUPPORTED", "this type of file is not taken")
            uri, size = await self._desk.tools.blobs.put_stream(_chunks(part, mime), bounds.max_file_size)
        name = _name_of(part)
        ticket = self._desk.links.ticket(thread, uri, name, mime, size)
        return Uploaded(uri=uri, name=name, mime=mime, size=size, ticket=ticket)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """``GET /files/<sha256>``: with a link that we signed, or for a person whose history has the file."""
        digest = request.match_info["digest"]
        found = self._linked(request, digest) or self._in_history(request, digest)
        if found is None:
            return _error(404, "no such file in this chat", {})
        name, mime = found
        chunks = self._desk.tools.blobs.open(PREFIX + digest)
        try:
            first = await anext(chunks, b"")
        except BlobMissing:
            return _error(404, "no such file in this chat", {})
        except TryAgain:
            return _error(503, "try again", {"Retry-After": "2"})
        response = web.StreamResponse(headers=SAFE_HEADERS | _headers_of(name, mime))
        await response.prepare(request)
        await response.write(first)
        async for chunk in chunks:
            await response.write(chunk)
        return response

    def _thread_of(self, request: web.Request) -> str:
        """Raises Refused for somebody who has no chat here."""
        if not self._guard.admits(request):
            raise Refused("NO_PERMISSION", "this page may not embed the chat")
        thread = self._guard.asking(request)
        if thread is None:
            raise Refused("NO_PERMISSION", "no chat")
        return thread

    def _linked(self, request: web.Request, digest: str) -> tuple[str, str] | None:
        name, mime = request.query.get("n", ""), request.query.get("m", "")
        link = request.query.get("t", "")
        return (name, mime) if self._desk.links.is_link(link, digest, name, mime, clock.now_ms()) else None

    def _in_history(self, request: web.Request, digest: str) -> tuple[str, str] | None:
        thread = self._guard.asking(request)
        if thread is None or not self._desk.is_open:
            return None
        return self._desk.history.file(thread, PREFIX + digest)


_STATUS = {
    "NO_PERMISSION": 403,
    "RATE_LIMITED": 429,
    "MEDIA_TOO_LARGE": 413,
    "MEDIA_TYPE_UNSUPPORTED": 415,
}


async def _file_part(request: web.Request) -> BodyPartReader:
    """The part named ``file``. Raises Refused for a request that has none."""
    try:
        form = await request.multipart()
        for _ in range(5):
            part = await form.next()
            if isinstance(part, BodyPartReader) and part.name == "file":
                return part
    except (ValueError, AssertionError) as error:
        raise Refused("UNSUPPORTED_OPERATION", "expected multipart/form-data") from error
    raise Refused("UNSUPPORTED_OPERATION", "expected a part named file")


async def _chunks(part: BodyPartReader, mime: str) -> AsyncIterator[bytes]:
    """The bytes of the file; what begins unlike its type is refused, so that nothing poses as a picture."""
    checked = False
    while chunk := await part.read_chunk(CHUNK_BYTES):
        if not checked and not chunk.startswith(BEGINNINGS.get(mime, (b"",))):
            raise Refused("MEDIA_TYPE_UNSUPPORTED", "the file is not of the type it claims")
        checked = True
        yield chunk
    if not checked:
        raise Refused("UNSUPPORTED_OPERATION", "the file is empty")


def _mime_of(part: BodyPartReader) -> str:
    return part.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _name_of(part: BodyPartReader) -> str:
    """A name to show and to save under: no folders, nothing invisible."""
    last = (part.filename or "").replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:120] or "file"


def _headers_of(name: str, mime: str) -> dict[str, str]:
    inline = mime in SHOWN_IN_PAGE or mime.startswith(("audio/", "video/"))
    return {
        "Content-Type": mime if inline else "application/octet-stream",
        "Content-Disposition": f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{quote(name, safe='')}",
    }


def _error(status: int, detail: str, headers: dict[str, str]) -> web.Response:
    return web.json_response({"error": status, "detail": detail}, status=status, headers=headers)
