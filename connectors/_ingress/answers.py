"""What the front door answers: small, in JSON where it says no, and never an echo of what was sent."""

from __future__ import annotations

import math
from datetime import timedelta

import msgspec
from aiohttp import web

from omnibus.channel.receive import Answer

SERVER = {"Server": "omnibus"}


class ErrorBody(msgspec.Struct, frozen=True):
    """The JSON of every refusal: `error` for programs, `detail` for people."""

    error: str
    detail: str


def accepted(answer: Answer) -> web.Response:
    """What the channel tells its provider."""
    return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type, headers=SERVER)


def refused(status: int, error: str, detail: str, *, headers: dict[str, str] | None = None) -> web.Response:
    """A refusal that every client can read."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(ErrorBody(error, detail)),
        content_type="application/json",
        headers={**SERVER, **(headers or {})},
    )


def unknown_account() -> web.Response:
    return refused(404, "unknown_account", "no account of this name takes webhooks")


def not_found() -> web.Response:
    return refused(404, "not_found", "nothing is served at this address")


def wrong_method(allowed: frozenset[str]) -> web.Response:
    return refused(405, "method_not_allowed", "this address takes another method", headers={"Allow": listed(allowed)})


def unverified() -> web.Response:
    return refused(401, "unverified", "the sender could not be proven")


def unacceptable(detail: str = "this can never be a request of the provider") -> web.Response:
    return refused(400, "unacceptable", detail)


def too_late() -> web.Response:
    return refused(408, "timeout", "the body did not arrive in time", headers={"Connection": "close"})


def too_large(limit: int) -> web.Response:
    return refused(413, "too_large", f"the body is larger than {limit} bytes", headers={"Connection": "close"})


def overloaded(after: timedelta) -> web.Response:
    """`after` is rounded up: Retry-After has whole seconds (RFC 9110, section 10.2.3)."""
    seconds = max(1, math.ceil(after.total_seconds()))
    return refused(503, "overloaded", "try again later", headers={"Retry-After": str(seconds)})


def broken() -> web.Response:
    return refused(500, "internal", "this is a fault of ours; the request is not stored")


def listed(methods: frozenset[str]) -> str:
    """Methods as the Allow header has them."""
    return ", ".join(sorted(methods))
