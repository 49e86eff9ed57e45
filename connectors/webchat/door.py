"""Who may come in: the page's origin, the visitor's cookie, the number of open chats."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from connectors._shared.live.receive import bearer_of
from connectors.webchat.identity import VISITOR_LIFE, Signer, Visitor
from connectors.webchat.settings import WebchatSettings
from omnibus import clock
from omnibus.channel.declaration import Account

COOKIE = "omnibus_visitor"


class Door:
    """The checks every request of one account goes through."""

    def __init__(self, account: Account, settings: WebchatSettings, signer: Signer) -> None:
        self._public = origin_of(account.public_url)
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in settings.allowed_origins)
        self._signer = signer

    def admits(self, request: web.Request) -> bool:
        """Whether the page that asks may use this chat. Programs that are no browsers send no origin: they may.

        This is what keeps a foreign page from opening a socket with the visitor's cookie (cross-site WebSocket
        hijacking), so it comes before anything else.
        """
        origin = request.headers.get("Origin")
        return (
            origin is None or self._is_ours(origin, request) or origin.lower() in self._allowed or "*" in self._allowed
        )

    def cookie_visitor(self, request: web.Request, now_ms: int) -> str | None:
        """The visitor of the request's cookie. With `*` any page may ask: a foreign one is not to use it, then."""
        origin = request.headers.get("Origin")
        foreign = origin is not None and not self._is_ours(origin, request) and origin.lower() not in self._allowed
        return None if foreign else self._signer.visitor_of(request.cookies.get(COOKIE), now_ms)

    def asking(self, request: web.Request) -> str | None:
        """The thread of the session a request shows, or else of its cookie."""
        now_ms = clock.now_ms()
        thread = self._signer.thread_of(bearer_of(request), now_ms)
        if thread is not None:
            return thread
        visitor = self.cookie_visitor(request, now_ms)
        return None if visitor is None else Visitor(id=visitor).thread

    def set_cookie(self, request: web.Request, response: web.StreamResponse, token: str) -> None:
        """Before the response is prepared. Over https other sites may embed us: there the cookie travels along."""
        secure = request.secure or self._public.startswith("https://")
        response.set_cookie(
            COOKIE,
            token,
            max_age=int(VISITOR_LIFE.total_seconds()),
            path=request.path.removesuffix("/ws"),
            httponly=True,
            secure=secure,
            samesite="None" if secure else "Lax",
        )

    def cors_headers(self, request: web.Request) -> dict[str, str]:
        """Lets the embedding page read the answer. Cookies never count for it: it shows its session instead."""
        origin = request.headers.get("Origin")
        if origin is None or not self.admits(request):
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Headers": "authorization",
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }

    def _is_ours(self, origin: str, request: web.Request) -> bool:
        """By host and port: behind a proxy that ends TLS we would compare https with http."""
        host = urlsplit(origin).netloc.lower()
        return host == request.host.lower() or origin.lower() == self._public


def origin_of(url: str) -> str:
    """Scheme, host and port of an address, as a browser writes an origin; empty for an empty address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""
