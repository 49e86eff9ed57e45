"""Posts each event; what the receiver answers decides what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from omnibus import clock
from omnibus.errors import Misconfigured, TryAgain
from omnibus.http import AddressRefused, Response, expect_ok, retry_after
from omnibus.http_guard import Breaker, RateLimit
from omnibus.standard_webhooks import signed_headers, strict_key
from sinks._engine.declaration import Receipt, SinkTools
from sinks._engine.envelope import Envelope
from sinks.webhook.sink import WebhookSettings

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
MAX_ANSWER_BYTES = 1_000_000

_UNAVAILABLE = frozenset({429, 502, 503, 504})
"""Statuses that speak of the receiver as a whole; 500 may be about this one event, and then only it waits."""


class WebhookSink:
    """One receiver. While it is down, or asked for rest, requests are held back without being sent."""

    def __init__(self, tools: SinkTools) -> None:
        self._settings: WebhookSettings = tools.settings
        self._http = tools.http
        self._name = tools.name
        self._keys = [strict_key(secret.reveal()) for secret in self._settings.secrets]
        self._extra = {name: value.reveal() for name, value in self._settings.headers.items()}
        self._breaker = Breaker()
        per_second = self._settings.requests_per_second
        self._rate = None if per_second is None else RateLimit(per_second)
        self._rests_until: datetime | None = None

    async def deliver(self, events: Sequence[Envelope]) -> Receipt:
        for event in events:
            self._check_rest()
            if self._rate is not None:
                await self._rate.acquire()
            answer = await self._post(event)
            if answer.status == 410:
                raise Misconfigured("url", "the receiver answers 410 Gone: it wants no more events")
            if 300 <= answer.status < 400:
                raise Misconfigured("url", f"the receiver has moved (HTTP {answer.status}); redirects are not followed")
            expect_ok(answer)
        return Receipt()

    async def close(self) -> None:
        """Nothing to let go of: the HTTP client is shared."""

    async def _post(self, event: Envelope) -> Response:
        body = event.cloudevent()
        headers = {
            **self._extra,
            "Content-Type": CONTENT_TYPE,
            **signed_headers(self._keys, event.id, clock.now_ms() // 1000, body),
        }
        with self._breaker.guard(self._name):
            answer = await self._request(headers, body)
            if answer.status in _UNAVAILABLE:
                self._rest(retry_after(answer.headers))
                expect_ok(answer)
        return answer

    async def _request(self, headers: dict[str, str], body: bytes) -> Response:
        try:
            return await self._http.request(
                "POST",
                self._settings.url,
                headers=headers,
                body=body,
                timeout=self._settings.timeout,
                max_response_bytes=MAX_ANSWER_BYTES,
                allow_private=self._settings.allow_private,
            )
        except AddressRefused as error:
            raise Misconfigured(
                "url", f"{error.reason}; a receiver in a private network needs allow_private"
            ) from error

    def _rest(self, asked: timedelta | None) -> None:
        """A `Retry-After` holds for every event, not only for the one it answered."""
        if asked is not None:
            self._rests_until = clock.now() + asked

    def _check_rest(self) -> None:
        left = timedelta(0) if self._rests_until is None else self._rests_until - clock.now()
        if left > timedelta(0):
            raise TryAgain("the receiver asked for rest", after=left)
