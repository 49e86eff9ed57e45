"""The widget and its try-it page, served from memory."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"
DEMO_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob: https:; media-src 'self' blob: https:; base-uri 'none'; form-action 'none'"
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}


class Page:
    """One static file: its bytes, plain and packed, and the tag of this version of it."""

    def __init__(self, name: str, headers: dict[str, str] | None = None) -> None:
        path = STATIC / name
        self._plain = path.read_bytes()
        self._packed = gzip.compress(self._plain, mtime=0)
        self._type = TYPES[path.suffix]
        self._headers = {
            "ETag": f'"{hashlib.sha256(self._plain).hexdigest()[:20]}"',
            "Cache-Control": "public, max-age=300, must-revalidate",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "cross-origin",
            **(headers or {}),
        }

    async def serve(self, request: web.Request) -> web.Response:
        """The file, or 304 for a browser that has this version."""
        if request.headers.get("If-None-Match") == self._headers["ETag"]:
            return web.Response(status=304, headers=self._headers)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            packed = self._headers | {"Content-Encoding": "gzip"}
            return web.Response(body=self._packed, headers=packed, content_type=self._type, charset="utf-8")
        return web.Response(body=self._plain, headers=self._headers, content_type=self._type, charset="utf-8")


def page_routes() -> list[web.RouteDef]:
    """The widget for embedding, and a page to try it on."""
    return [
        web.get("/widget.js", Page("widget.js").serve),
        web.get("/demo.css", Page("demo.css").serve),
        web.get("/demo.js", Page("demo.js").serve),
        web.get("/", Page("demo.html", {"Content-Security-Policy": DEMO_CSP}).serve),
    ]
