"""What a process serves besides its channels: the way in for people, the API, health and metrics."""

from __future__ import annotations

import hmac
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from aiohttp import web

from omnibus.bus.port import Health
from omnibus.config.fields import Secret
from omnibus.runtime import Runtime, Service
from omnibus.telemetry import health, metrics

API = "router.api:api_routes"


class AlsoServes(Protocol):
    """A service with an HTTP front door that others may add to."""

    def also_serve(self, add_routes: Callable[[web.Application], None]) -> None: ...


def add_operations(app: web.Application, runtime: Runtime, services: Sequence[Service]) -> None:
    """``/health/live``, ``/health/ready`` and ``/metrics`` of this process."""
    sources = {name: _source(service, name) for service in services for name in service.health()}

    async def live(_: web.Request) -> web.Response:
        return _answer(health.live(sources))

    async def ready(_: web.Request) -> web.Response:
        return _answer(health.ready(sources))

    async def figures(request: web.Request) -> web.Response:
        if not _may_see_metrics(request, runtime.config.metrics.token):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return web.Response(body=metrics.current().render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)
    if runtime.config.metrics.enabled:
        for name, source in sources.items():
            metrics.current().watch(name, source)
        app.router.add_get("/metrics", figures)


def _source(service: Service, name: str) -> Callable[[], Health]:
    return lambda: service.health().get(name, Health(tasks=()))


def _answer(state: health.Answer) -> web.Response:
    return web.Response(status=state.status, body=state.body, content_type="application/json")


def _may_see_metrics(request: web.Request, token: Secret | None) -> bool:
    if token is None:
        return True
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    return hmac.compare_digest(given.encode(), token.reveal().encode())


def add_api(app: web.Application, runtime: Runtime) -> None:
    """The router's HTTP API below ``/api``."""
    module, _, name = API.partition(":")
    make = cast(Callable[[Runtime], web.Application], getattr(importlib.import_module(module), name))
    app.add_subapp("/api", make(runtime))


def add_home(app: web.Application, runtime: Runtime) -> None:
    """``/`` leads to the first web chat's page, so that a browser is all a newcomer needs."""
    chats = [name for name, account in runtime.accounts.items() if account.channel.name == "webchat"]
    if chats:

        async def home(_: web.Request) -> web.Response:
            raise web.HTTPFound(f"/ch/{chats[0]}/")

        app.router.add_get("/", home)


async def serve_operations(runtime: Runtime, services: Sequence[Service], host: str, port: int) -> web.AppRunner:
    """A small server for processes without a front door; the caller cleans it up."""
    app = web.Application()
    add_operations(app, runtime, services)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def summary(services: Sequence[Service]) -> Mapping[str, Health]:
    """The health of every runner of the process."""
    return {name: state for service in services for name, state in service.health().items()}
