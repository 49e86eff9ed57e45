"""The connectors stage as the command line starts it: front door and receivers of one process."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterable, Mapping

import structlog
from aiohttp import web

from connectors._ingress.app import AddRoutes, build_app
from connectors._ingress.config import limits_of, proxies_of, tls_of
from connectors._ingress.endpoint import Endpoint
from connectors._ingress.limits import Gate
from connectors._ingress.refusals import Refusals
from connectors._ingress.status import Statuses
from connectors._ingress.supervise import Supervisor
from connectors._ingress.tools import AccountTools
from omnibus.bus.port import Health
from omnibus.channel.declaration import Account
from omnibus.channel.receive import Webhook
from omnibus.errors import Misconfigured
from omnibus.runtime import Runtime

LINGER_S = 2.0
"""What is left of a drain for connections that do not close: pages, sockets, slow readers."""

log = structlog.get_logger("omnibus.connectors")


class ConnectorsService:
    """Listens, and keeps receivers running. `port` is the one in use once `start` has returned.

    Other parts of the process that serve HTTP (health, metrics, the router's API) give `add_routes`, or call
    `also_serve` before `start`.
    """

    name = "connectors"

    def __init__(self, runtime: Runtime, add_routes: Iterable[AddRoutes] = ()) -> None:
        self._runtime = runtime
        self._add_routes = list(add_routes)
        self._limits = limits_of(runtime.config.http)
        self._publisher = runtime.bus.publisher("connectors")
        self.statuses = Statuses(self._publisher, runtime.topics)
        self._supervisor = Supervisor()
        self._refusals = Refusals()
        self._runner: web.AppRunner | None = None
        self.gate = Gate(self._limits)
        self.port = 0

    def also_serve(self, add_routes: AddRoutes) -> None:
        """Serve something else at the same address; before `start`."""
        self._add_routes.append(add_routes)

    async def start(self) -> None:
        """Listening when it returns. Raises Misconfigured when the address cannot be used."""
        tools = {name: self._tools(account) for name, account in self._runtime.accounts.items()}
        endpoints = self._endpoints(tools)
        pages = self._supervisor.prepare(tools)
        self._runner = web.AppRunner(
            build_app(endpoints, pages, self._add_routes, proxies_of(self._runtime.config.http)),
            access_log=None,
            auto_decompress=False,  # the log keeps the bytes of the wire; signatures are over those, too
            keepalive_timeout=self._limits.idle_timeout.total_seconds(),
            shutdown_timeout=LINGER_S,
        )
        await self._runner.setup()
        await self._listen(self._runner)
        self._supervisor.start()

    async def drain(self, deadline_s: float) -> None:
        """Accept nothing new, finish the requests in hand, stop the receivers; at the latest after `deadline_s`."""
        try:
            async with asyncio.timeout(max(0.0, deadline_s - LINGER_S)):
                await self._close_the_door()
                await asyncio.gather(self.gate.empty(), self._supervisor.stop())
                await self.statuses.settled()
        except TimeoutError:
            log.warning("connectors.drain_cut_short", in_hand=self.gate.requests)
        if self._runner is not None:
            await self._runner.cleanup()
        await self._publisher.close()

    def health(self) -> Mapping[str, Health]:
        """Connectors own no partitions: they work as soon as they listen."""
        return {self.name: Health(tasks=())}

    def _tools(self, account: Account) -> AccountTools:
        return AccountTools(
            account=account,
            http=self._runtime.http,
            blobs=self._runtime.blobs,
            bus=self._runtime.bus,
            topics=self._runtime.topics,
            publisher=self._publisher,
            tell=self.statuses.tell,
        )

    def _endpoints(self, tools: Mapping[str, AccountTools]) -> dict[str, Endpoint]:
        proxies = proxies_of(self._runtime.config.http)
        return {
            name: Endpoint(
                webhook,
                account_tools,
                gate=self.gate,
                limits=self._limits,
                proxies=proxies,
                refusals=self._refusals,
                peers=[peer for peer in self._runtime.accounts.values() if webhook_of(peer) is webhook],
            )
            for name, account_tools in tools.items()
            if (webhook := webhook_of(account_tools.account)) is not None
        }

    async def _listen(self, runner: web.AppRunner) -> None:
        http = self._runtime.config.http
        site = web.TCPSite(runner, http.host, http.port, ssl_context=tls_of(http), reuse_port=http.reuse_port)
        try:
            await site.start()
        except OSError as error:
            why = os.strerror(error.errno).lower() if error.errno else str(error)
            raise Misconfigured("http", f"cannot listen on {http.host}:{http.port}: {why}{_hint(error)}") from error
        self.port = runner.addresses[0][1]
        log.info("ingress.listening", host=http.host, port=self.port)

    async def _close_the_door(self) -> None:
        """Accept no connection any more, and no further request on those that are open.

        The connections stay open: closing one loses the rest of a body that is still on its way.
        """
        self.gate.close()
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()


def _hint(error: OSError) -> str:
    return "; another Omnibus may be running, http.port chooses another" if error.errno == errno.EADDRINUSE else ""


def webhook_of(account: Account) -> Webhook | None:
    """The webhook an account receives by, None when it comes in by other ways. Raises Misconfigured for two of them."""
    found = [way for way in account.channel.ways_in(account.settings).values() if isinstance(way, Webhook)]
    if len(found) > 1:
        raise Misconfigured(f"channels.{account.name}.receive", "one webhook at most")
    return found[0] if found else None
