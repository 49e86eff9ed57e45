"""Files that a provider comes and gets: it takes addresses, not bytes, so ours need one for an hour.

Where the blob store can give addresses (an object store), those are used. Otherwise the channel serves the file itself,
below ``/ch/<account>/media/``, to whoever has a link that we signed: the provider, which got it with the message.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from omnibus import clock
from omnibus.blobs import PREFIX, BlobMissing
from omnibus.channel.receive import ReceiverTools
from omnibus.channel.send import SenderTools
from omnibus.config.fields import Secret
from omnibus.errors import Refused, TryAgain
from omnibus.model.content import Attachment

LIFE = timedelta(hours=1)
_GONE = ("expired", "blocked", "too_large")
_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}

_MIME = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}")

SecretOf = Callable[[Any], Secret]


async def address_of(attachment: Attachment, tools: SenderTools, secret: Secret) -> str:
    """An address from which the provider can fetch the file. Raises Refused when it can have none, and TryAgain."""
    ref = attachment.ref
    if ref is None or attachment.state in _GONE:
        raise Refused("MEDIA_NOT_REACHABLE", "the bytes of an attachment are not there")
    if ref.scheme == "url":
        return ref.uri
    if ref.scheme != "object":
        raise Refused("MEDIA_NOT_REACHABLE", "the file is still at another provider")
    given = await tools.blobs.url(ref.uri, LIFE)
    if given is not None:
        return given
    if not tools.account.public_url:
        raise Refused("CHANNEL_BAD_CONFIGURATION", "the provider fetches files from us: set http.public_url")
    return link_to(attachment, ref.uri.removeprefix(PREFIX), tools.account.public_url, tools.account.name, secret)


def link_to(attachment: Attachment, digest: str, public_url: str, account: str, secret: Secret) -> str:
    """The signed address of a file of ours."""
    expires = str(clock.now_ms() // 1000 + int(LIFE.total_seconds()))
    mime = attachment.mime if _MIME.fullmatch(attachment.mime) else "application/octet-stream"
    signature = _signature(secret, account, digest, mime, expires)
    query = urlencode({"m": mime, "e": expires, "s": signature})
    return f"{public_url}/ch/{quote(account, safe='')}/media/{digest}?{query}"


class PublicFiles:
    """The receiver that serves them. A channel subclasses it and says which secret signs."""

    secret_of: SecretOf

    def __init__(self, tools: ReceiverTools) -> None:
        self._tools = tools

    async def run(self) -> None:
        """Nothing to do but be there."""
        self._tools.status("ok")
        await asyncio.Event().wait()

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Below ``/ch/<account>``."""
        return [web.get("/media/{digest:[0-9a-f]{64}}", self.file)]

    async def file(self, request: web.Request) -> web.StreamResponse:
        """The file, for a link that is ours and has not expired; everything else is not found."""
        digest = request.match_info["digest"]
        mime, expires = request.query.get("m", ""), request.query.get("e", "")
        if not self._is_signed(request.query.get("s", ""), digest, mime, expires):
            return web.Response(status=404)
        chunks = self._tools.blobs.open(PREFIX + digest)
        try:
            first = await anext(chunks, b"")
        except BlobMissing:
            return web.Response(status=404)
        except TryAgain:
            return web.Response(status=503, headers={"Retry-After": "2"})
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": mime})
        await response.prepare(request)
        await response.write(first)
        async for chunk in chunks:
            await response.write(chunk)
        return response

    def _is_signed(self, signature: str, digest: str, mime: str, expires: str) -> bool:
        account = self._tools.account
        ours = _signature(type(self).secret_of(account.settings), account.name, digest, mime, expires)
        matches = hmac.compare_digest(ours.encode(), signature.encode("utf-8", "replace"))
        return matches and int(expires) * 1000 >= clock.now_ms()


def _signature(secret: Secret, *parts: str) -> str:
    digest = hmac.new(secret.reveal().encode(), digestmod=hashlib.sha256)
    for part in ("sms-media", *parts):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()
