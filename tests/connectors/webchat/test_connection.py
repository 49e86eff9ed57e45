"""One open line: a browser that does not read is let go, and keeps nobody waiting."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from typing import TYPE_CHECKING

from connectors._shared.live.connection import MAX_WAITING
from omnibus.model import content as c

if TYPE_CHECKING:
    import aiohttp

    from tests.connectors.webchat.conftest import Installation


async def test_a_browser_that_reads_nothing_is_let_go_and_the_others_go_on(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    """A socket by hand: its small receive buffer fills, the server's queue too, and then the line is cut."""
    async with installation.widget(browser) as widget:
        await widget.say("hi")
        token = widget.welcome["token"]
        deaf = await open_by_hand(installation, token)
        [raw] = await installation.raws()
        words = "x" * 9_000
        for number in range(MAX_WAITING * 3):
            await installation.reply(raw.thread or "", c.Text(text=words), f"msg_{number}")
            assert (await widget.until("message"))["entry"]["author"] in ("agent", "visitor")
        await cut(deaf)
        assert (await widget.say("still here"))["type"] == "ack"


async def open_by_hand(installation: Installation, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = installation.origin.removeprefix("http://").partition(":")
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=line, limit=4_096)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ch/site/ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    hello = f'{{"type":"hello","token":"{token}"}}'.encode()
    # RFC 6455, 5.2: a final text frame, masked with zeros, its length in 16 bits.
    writer.write(b"\x81" + bytes([0x80 | 126]) + len(hello).to_bytes(2, "big") + bytes(4) + hello)
    await writer.drain()
    return reader, writer


async def cut(line: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Reads what is left; returns when the server has ended it."""
    reader, writer = line
    async with asyncio.timeout(30):
        try:
            while await reader.read(65_536):
                pass
        except ConnectionResetError:
            pass
    writer.close()
