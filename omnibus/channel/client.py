"""Who asks, for pages below ``/ch/<account>``: the peer of the connection may be a proxy of ours."""

from __future__ import annotations

from aiohttp import web

CLIENT = web.RequestKey("client", str)
"""The front door puts the client's address here, as far as trusted proxies tell it; empty when unknown."""
