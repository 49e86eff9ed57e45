"""The HTTP application: ``/in/<account>`` for webhooks, ``/ch/<account>`` for channels with pages of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from connectors._ingress import answers
from connectors._ingress.endpoint import Endpoint
from connectors._ingress.request import Proxies
from omnibus.channel.client import CLIENT

AddRoutes = Callable[[web.Application], None]
"""Something else that is served at the same address: health, metrics, the router's API."""


def build_app(
    endpoints: Mapping[str, Endpoint],
    pages: Mapping[str, Sequence[web.AbstractRouteDef]],
    add_routes: Iterable[AddRoutes] = (),
    proxies: Proxies | None = None,
) -> web.Application:
    """`endpoints` and `pages` by account name; `add_routes` are called with the application, before the catch-all."""
    app = web.Application()
    for account, endpoint in endpoints.items():
        # A plain path for each account: found in one dictionary look-up, without a pattern to match.
        app.router.add_route("*", f"/in/{quote(account, safe='')}", endpoint.handle)
    for account, routes in pages.items():
        _mount(app, f"/ch/{quote(account, safe='')}", routes, proxies or Proxies())
    for add in add_routes:
        add(app)
    app.router.add_route("*", "/in/{account:.*}", _unknown_account)
    app.router.add_route("*", "/{anything:.*}", _not_found)
    return app


def _mount(app: web.Application, prefix: str, routes: Sequence[web.AbstractRouteDef], proxies: Proxies) -> None:
    part = web.Application(middlewares=[_client_known(proxies)])
    part.add_routes(routes)
    app.add_subapp(prefix, part)


def _client_known(proxies: Proxies) -> Middleware:
    """Tells the channel's pages who asks, since the peer may be a proxy of ours."""

    @web.middleware
    async def know(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[CLIENT] = proxies.client_of(request.remote, request.headers.getall("X-Forwarded-For", ())) or ""
        return await handler(request)

    return know


async def _unknown_account(_request: web.Request) -> web.Response:
    return answers.unknown_account()


async def _not_found(_request: web.Request) -> web.Response:
    return answers.not_found()
