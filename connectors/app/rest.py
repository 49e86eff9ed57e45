"""The REST half of the protocol: registration, messages that waited, receipts, and what a device missed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import structlog
from aiohttp import web

from connectors._shared.live.frames import (
    Ack,
    Choice,
    Entry,
    OlderHistory,
    Place,
    Postback,
    Problem,
    Receipt,
    Said,
    Say,
    UnknownFrame,
)
from connectors._shared.live.history import PAGE
from connectors._shared.live.intake import Intake, about
from connectors._shared.live.receive import bearer_of
from connectors._shared.live.shown import with_links
from connectors.app.desk import AppDesk
from connectors.app.identity import IdentityRefused, Person
from connectors.app.protocol import Batch, Missed, Registered, Registration, Results, body_of, read_frame
from omnibus import clock
from omnibus.channel.client import CLIENT
from omnibus.errors import InvalidPayload, Misconfigured, Overloaded, PublishRejected, PublishUnknown, TryAgain

BODY_S = 30.0
RETRY_S = 2

log = structlog.get_logger("omnibus.app")

T = TypeVar("T")


class Refusal(Exception):
    """A request that is answered no; `code` is of the protocol's, `status` HTTP's."""

    def __init__(self, status: int, code: str, detail: str, after_ms: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.after_ms = after_ms

    def answer(self) -> web.Response:
        headers = {} if self.after_ms is None else {"Retry-After": str(max(1, math.ceil(self.after_ms / 1000)))}
        told: dict[str, Any] = {"error": self.code, "detail": self.detail}
        if self.after_ms is not None:
            told["after_ms"] = self.after_ms
        return web.json_response(told, status=self.status, headers=headers)


class Rest:
    """The requests of one account."""

    def __init__(self, desk: AppDesk) -> None:
        self._desk = desk

    async def register(self, request: web.Request) -> web.Response:
        """``POST /devices``: a session for a device whose user somebody vouches for."""
        try:
            self._check_open()
            if self._desk.connects.take(request.get(CLIENT, ""), clock.now_ms()):
                raise Refusal(429, "rate_limited", "too many registrations from this address", 60_000)
            registration = await _body(request, Registration)
            person = self._desk.identities.person(registration, clock.now_ms())
            await self._publish(self._desk.devices.registered(person, registration))
            return _json(self._registered(person), 201)
        except IdentityRefused as error:
            return self._refused(Refusal(401, "identity_refused", str(error)))
        except Misconfigured as error:
            log.warning("app.identity_misconfigured", account=self._desk.account, setting=error.setting)
            return self._refused(Refusal(503, "unavailable", "identities cannot be checked", 60_000))
        except Refusal as refusal:
            return self._refused(refusal)

    async def unregister(self, request: web.Request) -> web.Response:
        """``DELETE /devices/<id>``: the device is not to be woken any more."""
        try:
            person = self._person(request)
            await self._publish(self._desk.devices.forgotten(person.thread, [request.match_info["device"]]))
            return web.Response(status=204)
        except Refusal as refusal:
            return self._refused(refusal)

    async def missed(self, request: web.Request) -> web.Response:
        """``GET /messages``: what is newer than ``after``, older than ``before``, or simply the newest."""
        try:
            person = self._person(request)
            entries, more, gap = self._entries(person.thread, request)
            shown = self._linked(entries)
            return _json(Missed(entries=shown, more=more, gap=gap, seen=self._desk.devices.seen(person.thread)))
        except Refusal as refusal:
            return self._refused(refusal)

    async def messages(self, request: web.Request) -> web.Response:
        """``POST /messages``: each frame has its answer. After one that must wait, those behind it wait, too."""
        try:
            person = self._person(request)
            batch = await _body(request, Batch)
            intake = self._desk.intake_of(person, request.get(CLIENT, ""), "api")
            return _json(Results(results=tuple(await self._take_all(intake, batch))))
        except Refusal as refusal:
            return self._refused(refusal)

    async def receipt(self, request: web.Request) -> web.Response:
        """``POST /receipts``: entries reached the device, or were read."""
        try:
            person = self._person(request)
            data = await _bytes(request)
            receipt = _decoded(data, Receipt)
            intake = self._desk.intake_of(person, request.get(CLIENT, ""), "api")
            answer = await intake.take(receipt, body_of(receipt))
            if isinstance(answer, Problem):
                raise _refusal_of(answer)
            return web.Response(status=204)
        except Refusal as refusal:
            return self._refused(refusal)

    # --- steps ------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if not self._desk.is_open:
            raise Refusal(503, "unavailable", "starting", RETRY_S * 1000)

    def _person(self, request: web.Request) -> Person:
        """Whose session the request shows. Raises Refusal."""
        self._check_open()
        person = self._desk.sessions.person_of(bearer_of(request), clock.now_ms())
        if person is None:
            raise Refusal(401, "identity_refused", "register the device again")
        if wait := self._desk.requests.take(person.thread, clock.now_ms()):
            raise Refusal(429, "rate_limited", "too many requests", wait)
        return person

    def _registered(self, person: Person) -> Registered:
        bounds = self._desk.bounds
        return Registered(
            session=self._desk.sessions.session(person),
            expires_at=clock.from_ms(person.expires_s * 1000),
            user_id=person.user,
            max_text_chars=bounds.max_text_chars,
            max_file_size=bounds.max_file_size,
            file_types=bounds.file_types,
        )

    def _entries(self, thread: str, request: web.Request) -> tuple[list[Entry], bool, bool]:
        before, after = request.query.get("before"), request.query.get("after")
        if before is not None:
            asked = _asked({"before": before, "limit": request.query.get("limit", str(PAGE))})
            entries, more = self._desk.history.before(thread, asked.before, asked.limit)
            return entries, more, False
        if after is not None:
            _asked({"before": after})
        entries, gap = self._desk.history.missed(thread, after)
        return self._desk.hub.with_recent(thread, entries), gap or (after is None and len(entries) >= PAGE), gap

    def _linked(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        now_ms = clock.now_ms()
        return tuple(with_links(entry, self._desk.sessions, now_ms) for entry in entries)

    async def _take_all(self, intake: Intake, batch: Batch) -> Sequence[Ack | Problem]:
        results: list[Ack | Problem] = []
        waiting: Problem | None = None
        for raw in batch.messages:
            answer = await self._take(intake, bytes(raw), waiting)
            if isinstance(answer, Problem):
                self._desk.rejected(answer.code)
                waiting = answer if answer.after_ms is not None else waiting
            results.append(answer)
        return results

    async def _take(self, intake: Intake, data: bytes, waiting: Problem | None) -> Ack | Problem:
        try:
            frame = _said(data)
        except InvalidPayload as error:
            return Problem(code="invalid", detail=error.path)
        if waiting is not None:
            return about(waiting, frame)
        try:
            answer = await intake.take(frame, data)
        except TryAgain as error:
            return Problem(code="unavailable", detail=str(error), id=frame.id, after_ms=RETRY_S * 1000)
        assert answer is not None, "only receipts have no answer"
        return answer

    async def _publish(self, outs: Sequence[Any]) -> None:
        try:
            await self._desk.tools.publish([], outs)
        except Overloaded as error:
            raise Refusal(503, "unavailable", "busy", int(error.after.total_seconds() * 1000)) from error
        except (PublishRejected, PublishUnknown, TryAgain) as error:
            raise Refusal(503, "unavailable", "not stored", RETRY_S * 1000) from error

    def _refused(self, refusal: Refusal) -> web.Response:
        self._desk.rejected(refusal.code)
        return refusal.answer()


def _said(data: bytes) -> Said:
    """A frame that may be in a batch. Raises InvalidPayload."""
    frame = read_frame(data)
    if not isinstance(frame, (Say, Choice, Postback, Place, UnknownFrame)):
        raise InvalidPayload("frame.type", "not a message")
    return frame


def _asked(query: dict[str, str]) -> OlderHistory:
    try:
        return msgspec.convert(query, OlderHistory, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal(400, "invalid", "expected keys of entries, and a limit of 1 to 100") from error


async def _body(request: web.Request, kind: type[T]) -> T:
    return _decoded(await _bytes(request), kind)


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, "invalid", str(error).rpartition(" - at ")[2][:100] or "expected JSON") from error


async def _bytes(request: web.Request) -> bytes:
    """The body, of a megabyte at most (the server's own bound) and in time."""
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError as error:
        raise Refusal(408, "unavailable", "the body did not arrive in time", RETRY_S * 1000) from error
    except web.HTTPRequestEntityTooLarge as error:
        raise Refusal(413, "too_long", "the body is larger than a megabyte") from error


def _refusal_of(problem: Problem) -> Refusal:
    status = {"rate_limited": 429, "unavailable": 503}.get(problem.code, 400)
    return Refusal(status, problem.code, problem.detail, problem.after_ms)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=body_of(value), status=status, content_type="application/json")
