"""A web application of the test's own on a real socket: the provider, the ticket system, the bot outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def served(app: web.Application | web.Server, port: int = 0) -> AsyncIterator[str]:
    """Serve on this machine until the end; yields the address, without a slash behind it. Port 0 is any free one."""
    runner: web.BaseRunner = (
        web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        if isinstance(app, web.Application)
        else web.ServerRunner(app, shutdown_timeout=0.1)
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
