"""The widget and its try-it page, served from memory."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"
DEMO_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob: https:; media-src 'self' blob: https:; base-uri 'none'; form-action 'none'"
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}


WIDGET_PARTS = ("view.js", "talk.js")
"""Parts of one script, in this order: what is seen, and what is said to the server."""


class Page:
    """One page: its bytes, plain and packed, and the tag of this version of it."""

    def __init__(self, name: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        self._plain = content
        self._packed = gzip.compress(content, mtime=0)
        self._type = TYPES[Path(name).suffix]
        self._headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()[:20]}"',
            "Cache-Control": "public, max-age=300, must-revalidate",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "cross-origin",
            **(headers or {}),
        }

    async def serve(self, request: web.Request) -> web.Response:
        """The page, or 304 for a browser that has this version."""
        if request.headers.get("If-None-Match") == self._headers["ETag"]:
            return web.Response(status=304, headers=self._headers)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            packed = self._headers | {"Content-Encoding": "gzip"}
            return web.Response(body=self._packed, headers=packed, content_type=self._type, charset="utf-8")
        return web.Response(body=self._plain, headers=self._headers, content_type=self._type, charset="utf-8")


def widget_script() -> bytes:
    """The widget in one file, so that embedding it is one line: words, looks and parts in one closure."""
    folder = STATIC / "widget"
    words = json.loads((folder / "words.json").read_text("utf-8"))
    style = (folder / "style.css").read_text("utf-8")
    code = "".join((folder / part).read_text("utf-8") for part in WIDGET_PARTS)
    # Indentation and comments are for people who read the source, a quarter of the bytes.
    code = re.sub(r"(?m)^\s*(//.*)?\n", "", re.sub(r"(?m)^[ \t]+", "", code))
    constants = f"const WORDS={_as_script(words)},CSS={_as_script(style)};"
    return f"/*! Omnibus web chat. Apache-2.0 */\n(function(){{'use strict';\n{constants}\n{code}}})();\n".encode()


def _as_script(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def page_routes() -> list[web.RouteDef]:
    """The widget for embedding, and a page to try it on."""
    return [
        web.get("/widget.js", Page("widget.js", widget_script()).serve),
        web.get("/demo.css", Page("demo.css", _static("demo.css")).serve),
        web.get("/demo.js", Page("demo.js", _static("demo.js")).serve),
        web.get("/", Page("demo.html", _static("demo.html"), {"Content-Security-Policy": DEMO_CSP}).serve),
    ]


def _static(name: str) -> bytes:
    return (STATIC / name).read_bytes()
