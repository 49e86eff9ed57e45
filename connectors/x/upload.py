"""Bringing a file to X, in chunks. https://docs.x.com/x-api/media/quickstart/media-upload-chunked"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import msgspec

from connectors._shared.files import mime_of
from connectors.x.api import XApi
from connectors.x.plan import category_of
from omnibus.blobs import BlobMissing, BlobStore
from omnibus.errors import Refused, TryAgain
from omnibus.http import Part
from omnibus.model.content import Attachment

CHUNK_BYTES = 4_000_000
MOST_BYTES = {"image": 5_000_000, "gif": 15_000_000, "video": 512_000_000}
"""https://docs.x.com/x-api/media/quickstart/best-practices#size-and-duration-limits"""
PATIENCE = timedelta(minutes=2)
"""How long X may work on a film before we let the message wait."""
LONGEST_CHECK = 30.0


class Processing(msgspec.Struct, frozen=True, kw_only=True):
    """How far X is with a film."""

    state: str = "succeeded"
    check_after_secs: float = 1.0


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """An upload."""

    id: str
    processing_info: Processing | None = None


class Uploads:
    """Uploads of one account; files wait at X for a day, in this process they are kept in mind for one message."""

    def __init__(
        self, api: XApi, blobs: BlobStore, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._api = api
        self._blobs = blobs
        self._sleep = sleep

    async def upload(self, file: Attachment, *, public: bool) -> str:
        """The media id. Raises TryAgain while X is still working on it, Refused for what it does not take."""
        category = category_of(file, public=public) or ""
        size = await self._size_of(file, MOST_BYTES[category.rpartition("_")[2]])
        begun = await self._api.call(
            "POST",
            "/2/media/upload/initialize",
            Media,
            json={"media_type": mime_of(file), "total_bytes": size, "media_category": category},
        )
        index = 0
        async for chunk in self._chunks(file):
            parts = [
                Part(name="segment_index", value=str(index).encode()),
                Part(name="media", value=chunk, file_name="media", content_type="application/octet-stream"),
            ]
            await self._api.call("POST", f"/2/media/upload/{begun.id}/append", object, parts=parts)
            index += 1
        done = await self._api.call("POST", f"/2/media/upload/{begun.id}/finalize", Media)
        await self._processed(done)
        return done.id

    async def _processed(self, media: Media) -> None:
        waited = 0.0
        info = media.processing_info
        while info is not None and info.state != "succeeded":
            if info.state == "failed":
                raise Refused("MEDIA_TYPE_UNSUPPORTED", "X cannot process this file")
            if waited > PATIENCE.total_seconds():
                raise TryAgain("X is still processing the file")
            pause = min(max(info.check_after_secs, 0.1), LONGEST_CHECK)
            await self._sleep(pause)
            waited += pause
            query = {"command": "STATUS", "media_id": media.id}
            info = (await self._api.call("GET", "/2/media/upload", Media, query=query)).processing_info

    async def _size_of(self, file: Attachment, most: int) -> int:
        """Counted, whatever the attachment says: X wants to know it beforehand."""
        size = 0
        async for piece in self._opened(file):
            size += len(piece)
            if size > most:
                raise Refused("MEDIA_TOO_LARGE", f"X takes at most {most} bytes of this type")
        return size

    async def _chunks(self, file: Attachment) -> AsyncIterator[bytes]:
        waiting = bytearray()
        async for piece in self._opened(file):
            waiting += piece
            while len(waiting) >= CHUNK_BYTES:
                yield bytes(waiting[:CHUNK_BYTES])
                del waiting[:CHUNK_BYTES]
        if waiting:
            yield bytes(waiting)

    async def _opened(self, file: Attachment) -> AsyncIterator[bytes]:
        try:
            async for piece in self._blobs.open(file.ref.uri if file.ref is not None else ""):
                yield piece
        except BlobMissing as missing:
            raise Refused("MEDIA_NOT_REACHABLE", str(missing)) from None
