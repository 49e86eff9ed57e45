"""Webhooks are signed, retried until they are taken, and one receiver's trouble stays its own."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from omnibus import clock
from omnibus.clock import ManualClock
from omnibus.config.fields import Secret
from omnibus.errors import Misconfigured, Refused, TryAgain
from omnibus.standard_webhooks import strict_key
from omnibus.testing.served import served
from sinks._engine.envelope import Envelope
from sinks.webhook.deliver import WebhookSink
from sinks.webhook.sink import WebhookSettings

if TYPE_CHECKING:
    from tests.sinks.conftest import Installation

OLD = "whsec_" + base64.b64encode(b"an old secret that is long enough").decode()
NEW = "whsec_" + base64.b64encode(b"a new secret which is long enough").decode()


class Receiver:
    """A webhook receiver that answers what it is told to, event by event."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[dict[str, Any]], web.Response] = lambda _event: web.Response(status=204)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(({name.lower(): value for name, value in request.headers.items()}, body))
        return self.answer(json.loads(body))


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[], Any]]:
    async with AsyncExitStack() as stack:

        async def start() -> Receiver:
            receiver = Receiver()
            app = web.Application()
            app.router.add_post("/hook", receiver.take)
            receiver.url = f"{await stack.enter_async_context(served(app))}/hook"
            return receiver

        yield start


@pytest.fixture
async def receiver(serve: Callable[[], Any]) -> Receiver:
    started: Receiver = await serve()
    return started


def sink_for(installation: Installation, url: str, *secrets: str, **settings: Any) -> WebhookSink:
    keys = tuple(Secret(one) for one in secrets or (OLD,))
    given = {"allow_private": True, "url": url, "secrets": keys, **settings}
    return WebhookSink(installation.tools(WebhookSettings(**given), "crm"))


def envelope(installation: Installation, number: int = 1, conversation: str = "conv_1") -> Envelope:
    return installation.envelope(installation.received(number, conversation))


async def test_a_receiver_with_any_of_the_secrets_can_verify(installation: Installation, receiver: Receiver) -> None:
    """The specification's own library is the judge."""
    await sink_for(installation, receiver.url, OLD, NEW).deliver([envelope(installation)])
    headers, body = receiver.requests[0]
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(body, headers)["id"] == "evt_conv_1_1"
    assert headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
    assert len(headers["webhook-signature"].split(" ")) == 2


async def test_the_body_is_a_structured_cloudevent(installation: Installation, receiver: Receiver) -> None:
    await sink_for(installation, receiver.url).deliver([envelope(installation)])
    event = json.loads(receiver.requests[0][1])
    assert (event["specversion"], event["type"]) == ("1.0", "omnibus.message.received.v1")
    assert (event["subject"], event["time"]) == ("conv_1", "2026-01-05T09:00:00.000Z")
    assert event["data"]["message"]["content"] == {"type": "text", "text": "message 1"}


async def test_a_gateway_gets_its_own_header(installation: Installation, receiver: Receiver) -> None:
    sink = sink_for(installation, receiver.url, headers={"Authorization": Secret("Bearer of the gateway")})
    await sink.deliver([envelope(installation)])
    assert receiver.requests[0][0]["authorization"] == "Bearer of the gateway"


async def test_retry_after_holds_for_every_event(installation: Installation, receiver: Receiver) -> None:
    receiver.answer = lambda _event: web.Response(status=429, headers={"Retry-After": "7"})
    sink = sink_for(installation, receiver.url)
    moved = ManualClock()
    with clock.use(moved):
        with pytest.raises(TryAgain) as first:
            await sink.deliver([envelope(installation)])
        with pytest.raises(TryAgain) as other:
            await sink.deliver([envelope(installation, 2, "conv_2")])
        assert first.value.after == other.value.after == timedelta(seconds=7)
        assert receiver.ids == ["evt_conv_1_1"]

        moved.advance(timedelta(seconds=7))
        receiver.answer = lambda _event: web.Response()
        await sink.deliver([envelope(installation, 2, "conv_2")])
    assert receiver.ids == ["evt_conv_1_1", "evt_conv_2_2"]


async def test_a_receiver_that_is_down_is_left_alone_for_a_while(
    installation: Installation, receiver: Receiver
) -> None:
    receiver.answer = lambda _event: web.Response(status=503)
    sink = sink_for(installation, receiver.url)
    for number in range(8):
        with pytest.raises(TryAgain):
            await sink.deliver([envelope(installation, number)])
    assert len(receiver.requests) == 5


async def test_an_event_that_breaks_the_receiver_does_not_stop_the_others(
    installation: Installation, receiver: Receiver
) -> None:
    """500 may be about this very event: it opens no circuit."""
    receiver.answer = lambda event: web.Response(status=500 if event["subject"] == "conv_bad" else 200)
    sink = sink_for(installation, receiver.url)
    for number in range(8):
        with pytest.raises(TryAgain):
            await sink.deliver([envelope(installation, number, "conv_bad")])
    await sink.deliver([envelope(installation, 1, "conv_good")])


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
async def test_a_refusal_is_final(installation: Installation, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _event: web.Response(status=status)
    with pytest.raises(Refused, match=f"HTTP {status}"):
        await sink_for(installation, receiver.url).deliver([envelope(installation)])


@pytest.mark.parametrize(("status", "why"), [(410, "410 Gone"), (301, "has moved"), (308, "has moved")])
async def test_a_receiver_that_left_pauses_the_sink(
    installation: Installation, receiver: Receiver, status: int, why: str
) -> None:
    receiver.answer = lambda _event: web.Response(status=status, headers={"Location": receiver.url})
    with pytest.raises(Misconfigured, match=why):
        await sink_for(installation, receiver.url).deliver([envelope(installation)])
    assert len(receiver.requests) == 1


async def test_a_private_address_needs_leave(installation: Installation, receiver: Receiver) -> None:
    with pytest.raises(Misconfigured, match="allow_private"):
        await sink_for(installation, receiver.url, allow_private=False).deliver([envelope(installation)])
    assert receiver.requests == []


@pytest.mark.parametrize("secret", ["whsec_not base64", "whsec_c2hvcnQ=", "whsec_" + "A" * 400])
def test_a_secret_that_cannot_sign_is_a_setting_to_correct(secret: str) -> None:
    with pytest.raises(Misconfigured, match="secrets"):
        strict_key(secret)


async def test_a_retried_event_keeps_its_id(installation: Installation, receiver: Receiver) -> None:
    """The receiver's own deduplication relies on it."""
    answers = iter([500, 200])
    receiver.answer = lambda _event: web.Response(status=next(answers))
    async with installation.sinks(yaml_for(receiver)):
        await installation.publish(installation.received(1))
        await installation.caught_up("sink.crm")
    assert receiver.ids == ["evt_conv_1_1", "evt_conv_1_1"]


async def test_order_holds_within_a_conversation_when_one_event_is_retried(
    installation: Installation, receiver: Receiver
) -> None:
    failures = iter([500])
    receiver.answer = lambda event: web.Response(status=next(failures, 200) if event["id"] == "evt_conv_1_1" else 200)
    async with installation.sinks(yaml_for(receiver)):
        await installation.publish(*(installation.received(number) for number in (1, 2, 3)))
        await installation.caught_up("sink.crm")
    assert receiver.ids == ["evt_conv_1_1", "evt_conv_1_1", "evt_conv_1_2", "evt_conv_1_3"]


async def test_one_dead_receiver_of_two_costs_the_other_nothing(
    installation: Installation, receiver: Receiver, serve: Callable[[], Any]
) -> None:
    dead = await serve()
    dead.answer = lambda _event: web.Response(status=503)
    yaml = f"""
        sinks:
          crm: {{type: webhook, from: [events], url: "{receiver.url}", secrets: ["{OLD}"], allow_private: true}}
          dead: {{type: webhook, from: [events], url: "{dead.url}", secrets: ["{OLD}"], allow_private: true}}
    """
    async with installation.sinks(yaml):
        await installation.publish(*(installation.received(number, f"conv_{number}") for number in range(20)))
        await installation.caught_up("sink.crm")
        assert sum((await installation.bus.lag("sink.dead")).values()) == 20
    assert len(receiver.ids) == 20


async def test_a_paused_receiver_shows_why_and_the_other_goes_on(
    installation: Installation, receiver: Receiver, serve: Callable[[], Any]
) -> None:
    gone = await serve()
    gone.answer = lambda _event: web.Response(status=410)
    yaml = f"""
        sinks:
          crm: {{type: webhook, from: [events], url: "{receiver.url}", secrets: ["{OLD}"], allow_private: true}}
          gone: {{type: webhook, from: [events], url: "{gone.url}", secrets: ["{OLD}"], allow_private: true}}
    """
    async with installation.sinks(yaml) as service:
        await installation.publish(*(installation.received(number) for number in range(3)))
        await installation.caught_up("sink.crm")

        async def reason() -> str:
            return installation.reason_of(service.health(), "sink.gone")

        assert "410 Gone" in await installation.until(reason, bool)
        assert "paused" in {task.state for task in service.health()["sink.gone"].tasks}
    assert gone.ids == ["evt_conv_1_0"]


async def test_a_refused_event_is_reported_and_kept(installation: Installation, receiver: Receiver) -> None:
    receiver.answer = lambda event: web.Response(status=422 if event["id"] == "evt_conv_1_1" else 200)
    async with installation.sinks(yaml_for(receiver)):
        await installation.publish(*(installation.received(number) for number in (1, 2)))
        (failed,) = await installation.outcomes("sink.failed")
        (letter,) = await installation.dead_letters()
        await installation.caught_up("sink.crm")
    assert failed.subject == "conv_1"
    assert (failed.data.sink, failed.data.event_id, failed.data.status) == ("crm", "evt_conv_1_1", "failed")
    assert failed.data.reason == "Refused: CHANNEL_FAILURE: HTTP 422"
    assert letter.header("dead_stage") == b"sink.crm"
    assert receiver.ids == ["evt_conv_1_1", "evt_conv_1_2"]


async def test_an_event_that_fails_for_too_long_is_parked(installation: Installation, receiver: Receiver) -> None:
    receiver.answer = lambda _event: web.Response(status=500)
    async with installation.sinks(yaml_for(receiver, "give_up_after: 0s")):
        await installation.publish(installation.received(1))
        (parked,) = await installation.outcomes("sink.parked")
        (letter,) = await installation.dead_letters()
    assert parked.data.reason == "TryAgain: HTTP 500"
    assert letter.header("ce_id") == b"evt_conv_1_1"


async def test_deliveries_are_reported_when_asked_for(installation: Installation, receiver: Receiver) -> None:
    async with installation.sinks(yaml_for(receiver, "report_delivered: true", source="[events, outcomes]")):
        await installation.publish(installation.received(1))
        (delivered,) = await installation.outcomes("sink.delivered")
        await installation.until(lambda: ids(receiver), lambda seen: len(seen) == 2)
        await installation.caught_up("sink.crm")
    assert delivered.data.event_id == "evt_conv_1_1"
    assert receiver.ids == ["evt_conv_1_1", delivered.id]  # the report goes out as well, and is not reported on


async def test_only_the_kinds_asked_for_are_sent(installation: Installation, receiver: Receiver) -> None:
    async with installation.sinks(yaml_for(receiver, "events: [conversation.*]")):
        await installation.publish(installation.received(1))
        await installation.caught_up("sink.crm")
    assert receiver.ids == []


async def ids(receiver: Receiver) -> list[str]:
    return receiver.ids


def yaml_for(receiver: Receiver, *settings: str, source: str = "[events]") -> str:
    given = ", ".join([f'url: "{receiver.url}"', f'secrets: ["{OLD}"]', "allow_private: true", *settings])
    return f"sinks: {{crm: {{type: webhook, from: {source}, {given}}}}}"
