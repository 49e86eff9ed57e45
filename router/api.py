"""The HTTP API: commands in, conversations out. Mounted below ``/api`` by whoever serves HTTP."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from omnibus import clock
from omnibus.bus.port import Publisher, ReadTable
from omnibus.config.fields import Secret
from omnibus.errors import InvalidPayload, OmnibusError, Overloaded, PublishRejected, PublishUnknown
from omnibus.model import events, ids
from omnibus.model.base import Model
from omnibus.model.codec import Event, encode
from omnibus.model.entities import Conversation
from omnibus.model.events import Note, Reopen, Reply, Resolve, Tag, Transfer
from omnibus.runtime import Runtime

MAX_BODY = 256 * 1024
MAX_LIMIT = 500
MAX_SCANNED = 20_000
"""Conversations looked at for one list: a page of a busy installation, not a search engine."""
_PAGE = 1_000
_LOOK_AGAIN_S = 5.0
_HEX = "0123456789abcdef"

COMMANDS: Mapping[str, type[Model]] = {
    "reply": Reply,
    "note": Note,
    "resolve": Resolve,
    "reopen": Reopen,
    "transfer": Transfer,
    "tag": Tag,
}

log = structlog.get_logger("router.api")


def api_routes(runtime: Runtime) -> web.Application:
    """The API as a sub-application. Without configured tokens it refuses everybody."""
    api = _Api(runtime)
    app = web.Application(middlewares=[_bearer(runtime.config.api.tokens)])
    app.on_startup.append(api.open)
    app.on_cleanup.append(api.close)
    app.router.add_post("/conversations/{id}/commands", api.command)
    app.router.add_get("/conversations/{id}", api.conversation)
    app.router.add_get("/conversations", api.conversations)
    return app


class _Api:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._publisher: Publisher | None = None
        self._table: ReadTable | None = None

    async def open(self, app: web.Application) -> None:
        self._table = await self._runtime.bus.global_table(self._runtime.topics.conversations)
        self._publisher = self._runtime.bus.publisher("api")

    async def close(self, app: web.Application) -> None:
        if self._publisher is not None:
            await self._publisher.close()

    async def command(self, request: web.Request) -> web.Response:
        """``POST /conversations/{id}/commands``: 202 when the bus has it; how it ended is an event."""
        value = await self._snapshot(request.match_info["id"])
        if isinstance(value, web.Response):
            return value
        conversation = _decode_conversation(value)
        if conversation.status == "closed":
            return _error(409, "closed", "the conversation is closed; the next message opens another")
        body = await _body(request)
        if body is None:
            return _error(413, "too_large", f"a command has at most {MAX_BODY} bytes")
        try:
            data = command_of(body)
        except InvalidPayload as invalid:
            return _error(400, "invalid", str(invalid))
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > 255:
            return _error(400, "invalid", "Idempotency-Key: at most 255 characters")
        command_id = ids.derive("cmd", "api", conversation.id, key) if key else ids.random_id("cmd")
        return await self._publish(conversation.id, command_id, data, request.headers.get("traceparent"))

    async def _publish(self, conversation: str, command_id: str, data: Model, trace: str | None) -> web.Response:
        event = Event(
            id=command_id,
            type=f"omnibus.command.{type(data).__name__.lower()}.v1",
            source=events.DOWNSTREAM,
            subject=conversation,
            time=clock.now_ms(),
            data=data,
            traceparent=trace if trace is not None and len(trace) <= 64 and trace.isascii() else None,
        )
        assert self._publisher is not None
        try:
            await self._publisher.publish([encode(event, self._runtime.topics.commands)])
        except Overloaded as full:
            seconds = max(1, round(full.after.total_seconds()))
            return _error(503, "overloaded", "try again later", {"Retry-After": str(seconds)})
        except (PublishRejected, PublishUnknown) as failed:
            log.warning("command not published", error=type(failed).__name__)
            return _error(503, "unavailable", "send it again, with the same Idempotency-Key", {"Retry-After": "1"})
        return web.json_response({"command_id": command_id}, status=202)

    async def conversation(self, request: web.Request) -> web.Response:
        """``GET /conversations/{id}``: its latest snapshot."""
        value = await self._snapshot(request.match_info["id"])
        return value if isinstance(value, web.Response) else web.Response(body=value, content_type="application/json")

    async def conversations(self, request: web.Request) -> web.Response:
        """``GET /conversations?queue=&status=&limit=``: the most recently active first."""
        try:
            limit = int(request.query.get("limit", "50"))
        except ValueError:
            limit = 0
        if not 1 <= limit <= MAX_LIMIT:
            return _error(400, "invalid", f"limit: expected 1 to {MAX_LIMIT}")
        queue, status = request.query.get("queue"), request.query.get("status")
        found: list[tuple[float, bytes]] = []
        scanned = 0
        for page in self._pages():
            scanned += len(page)
            found += [(_activity(one), raw) for raw, one in page if _wanted(one, queue, status)]
            if scanned >= MAX_SCANNED:
                break
            await asyncio.sleep(0)  # a large table must not hold up the webhooks served beside us
        found.sort(key=lambda entry: entry[0], reverse=True)
        complete = b"true" if scanned < MAX_SCANNED else b"false"
        items = b",".join(raw for _, raw in found[:limit])
        body = b'{"conversations":[' + items + b'],"complete":' + complete + b"}"
        return web.Response(body=body, content_type="application/json")

    async def _snapshot(self, conversation: str) -> bytes | web.Response:
        """A conversation's latest snapshot, or the refusal.

        On a cluster this process may learn of a conversation after the queue's reader did: before it denies that there
        is one, it looks at everything that was published until now.
        """
        assert self._table is not None
        value = self._table.get(_key(conversation))
        if value is None:
            try:
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    table = await self._runtime.bus.global_table(self._runtime.topics.conversations)
            except (TimeoutError, OmnibusError):
                return _error(503, "unavailable", "the conversations cannot be read now", {"Retry-After": "1"})
            value = table.get(_key(conversation))
        return _error(404, "not_found", "there is no such conversation") if value is None else value

    def _pages(self) -> Iterator[list[tuple[bytes, Conversation]]]:
        """The table in pages. Ids are hashes, so that their first digits cut it into even parts."""
        assert self._table is not None
        page = self._table.scan(b"", _PAGE)
        if len(page) < _PAGE:
            yield [(value, _decode_conversation(value)) for _, value in page]
            return
        for first in _HEX:
            for second in _HEX:
                part = self._table.scan(f"conv_{first}{second}".encode(), _PAGE)
                yield [(value, _decode_conversation(value)) for _, value in part]


_decode_conversation = msgspec.json.Decoder(Conversation).decode


def command_of(body: bytes) -> Model:
    """The command of a request's body: ``{"type": "reply", "text": "hello"}`` and so on. Raises InvalidPayload."""
    try:
        given: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidPayload("$", f"expected JSON: {str(error)[:200]}") from None
    if not isinstance(given, dict):
        raise InvalidPayload("$", "expected an object")
    kind = given.pop("type", None)
    if not isinstance(kind, str) or kind not in COMMANDS:
        raise InvalidPayload("type", f"expected one of {', '.join(COMMANDS)}")
    if kind == "reply" and "content" not in given and isinstance(given.get("text"), str):
        given["content"] = {"type": "text", "text": given.pop("text")}
    try:
        return msgspec.convert(given, COMMANDS[kind])
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidPayload(kind, str(error)[:300]) from None


async def _body(request: web.Request) -> bytes | None:
    """The body, None when it is too large."""
    if (request.content_length or 0) > MAX_BODY:
        return None
    chunks = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        chunks += chunk
        if len(chunks) > MAX_BODY:
            return None
    return bytes(chunks)


def _bearer(tokens: tuple[Secret, ...]) -> Any:
    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not _known(given.strip(), tokens):
            why = "a bearer token is needed" if tokens else "no api.tokens are configured: the API is off"
            return _error(401, "unauthorized", why, {"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return authenticate


def _known(given: str, tokens: tuple[Secret, ...]) -> bool:
    """Whether it is one of the tokens, after comparing with all: how long it takes must not tell which."""
    known = False
    for token in tokens:
        known |= hmac.compare_digest(given.encode("utf-8", "replace"), token.reveal().encode())
    return known


def _wanted(conversation: Conversation, queue: str | None, status: str | None) -> bool:
    return (queue is None or conversation.queue == queue) and (status is None or conversation.status == status)


def _activity(conversation: Conversation) -> float:
    times = [at for at in (conversation.last_inbound_at, conversation.last_outbound_at) if at is not None]
    return max(times).timestamp() if times else 0.0


def _key(conversation: str) -> bytes:
    return conversation[:128].encode("utf-8", "replace")


def _error(status: int, error: str, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": error, "detail": detail}, status=status, headers=headers)
