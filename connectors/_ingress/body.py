"""Reading a request body, bounded in size, in time, and over all requests together."""

from __future__ import annotations

import asyncio

from aiohttp import web

from connectors._ingress.limits import IngressLimits, Share, TooLarge, TooSlow
from omnibus.channel.receive import Unacceptable


async def read_body(http: web.Request, share: Share, limits: IngressLimits) -> bytes:
    """The body as it came over the wire. Raises TooLarge, TooSlow, Overloaded, and Unacceptable for broken framing."""
    announced = http.content_length or 0
    if announced > limits.max_body:
        raise TooLarge(f"{announced} bytes announced")
    share.grow(announced)
    if http.content.is_eof():  # small requests are here already: no timer, no loop
        return _bounded(http.content.read_nowait(), share, limits)
    try:
        async with asyncio.timeout(limits.read_timeout.total_seconds()):
            return await _streamed(http, share, limits)
    except TimeoutError:
        raise TooSlow("the body stopped coming") from None
    except web.RequestPayloadError:
        raise Unacceptable("the framing of the body is broken") from None


def _bounded(body: bytes, share: Share, limits: IngressLimits) -> bytes:
    if len(body) > limits.max_body:
        raise TooLarge(f"{len(body)} bytes came")
    if len(body) > share.size:
        share.grow(len(body) - share.size)
    return body


async def _streamed(http: web.Request, share: Share, limits: IngressLimits) -> bytes:
    body = bytearray()
    while chunk := await http.content.readany():
        if len(body) + len(chunk) > limits.max_body:
            raise TooLarge(f"more than {limits.max_body} bytes came")
        if len(body) + len(chunk) > share.size:
            share.grow(len(body) + len(chunk) - share.size)
        body += chunk
    return bytes(body)
