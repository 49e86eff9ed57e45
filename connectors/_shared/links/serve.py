"""Serves stored files to whoever has an address that we signed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote

from aiohttp import web

from connectors._shared.links.links import Link
from omnibus.blobs import PREFIX, BlobMissing
from omnibus.channel.receive import ReceiverTools
from omnibus.config.fields import Secret
from omnibus.errors import TryAgain

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Whatever the file is, it runs nothing and embeds nothing in our origin.
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=3600",
}
SHOWN = ("image/", "audio/", "video/")
"""Kinds that open in place; everything else is saved."""


class LinkedFiles:
    """An HttpReceiver. Subclass it and name the setting whose secret signs the addresses."""

    secret_field: ClassVar[str]

    def __init__(self, tools: ReceiverTools) -> None:
        self._tools = tools
        self._secret: Secret = getattr(tools.account.settings, self.secret_field)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        return [web.get(r"/files/{expires:\d{1,12}}/{signature}/{digest:[0-9a-f]{64}}/{name}", self._file)]

    async def run(self) -> None:
        """Nothing to do besides the routes."""
        self._tools.status("ok")
        await asyncio.Event().wait()

    async def _file(self, request: web.Request) -> web.StreamResponse:
        link = self._link(request)
        if not link.is_proven(self._secret, request.match_info["signature"]):
            return web.Response(status=404)
        chunks = self._tools.blobs.open(PREFIX + link.digest)
        try:
            first = await anext(chunks, b"")
        except BlobMissing:
            return web.Response(status=404)
        except TryAgain:
            return web.Response(status=503, headers={"Retry-After": "2"})
        response = web.StreamResponse(headers=SAFE_HEADERS | _about(link))
        await response.prepare(request)
        await response.write(first)
        async for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
        return response

    def _link(self, request: web.Request) -> Link:
        given = request.match_info
        return Link(
            account=self._tools.account.name,
            expires=int(given["expires"]),
            digest=given["digest"],
            name=given["name"],
            mime=request.query.get("type", ""),
        )


def _about(link: Link) -> dict[str, str]:
    how = "inline" if link.mime.startswith(SHOWN) and link.mime != "image/svg+xml" else "attachment"
    return {"Content-Type": link.mime, "Content-Disposition": f"{how}; filename*=UTF-8''{quote(link.name, safe='')}"}
