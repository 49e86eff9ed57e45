"""What the front door answers, and what it keeps."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors._ingress.limits import IngressLimits
from connectors.webhook.channel import CHANNEL
from connectors.webhook.settings import HmacSettings, WebhookSettings
from omnibus.channel.receive import Answer, Request, Unacceptable, Verdict, Webhook
from omnibus.config.fields import Secret
from omnibus.errors import Overloaded, PublishRejected, PublishUnknown, TryAgain
from omnibus.model.raw import RawEvent, decode_raw
from omnibus.telemetry import metrics

Front = Callable[..., AbstractAsyncContextManager[Any]]
HELLO = b'{"from":"ana@example.com","text":"hi"}'


async def status_of(url: str, sent: bytes) -> int:
    """The status a raw request is answered with."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
        await writer.wait_closed()


def kept(front: Any) -> list[RawEvent]:
    return [decode_raw(out.value) for out in front.desk.kept]


async def test_a_request_is_answered_only_when_the_log_has_it(front: Front) -> None:
    async with front() as door:
        door.desk.open.clear()
        asked = asyncio.create_task(door.client.post(f"{door.url}/in/site", data=HELLO))
        await door.desk.reached.wait()
        assert not asked.done()
        door.desk.open.set()
        assert (await asked).status == 200
        assert [raw.body for raw in kept(door)] == [HELLO]


@pytest.mark.parametrize(
    "failure", [Overloaded("full"), PublishRejected("no"), PublishUnknown("perhaps"), TryAgain("no blobs")]
)
async def test_a_log_that_cannot_take_it_means_try_again_later(front: Front, failure: Exception) -> None:
    async with front() as door:
        door.desk.failure = failure
        async with door.client.post(f"{door.url}/in/site", data=HELLO) as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert (await answer.json())["error"] == "overloaded"


async def test_a_wrong_token_is_refused_and_nothing_is_kept(front: Front) -> None:
    settings = WebhookSettings(verify="token", webhook_secret=Secret("invented-token"))
    async with front(settings) as door:
        for headers in ({}, {"X-Webhook-Token": "another"}, {"X-Webhook-Token": "invented-token\xe9"}):
            async with door.client.post(f"{door.url}/in/site", data=HELLO, headers=headers) as answer:
                assert answer.status == 401
                assert "another" not in await answer.text()
        assert kept(door) == []


async def test_a_token_is_not_kept(front: Front) -> None:
    settings = WebhookSettings(verify="token", webhook_secret=Secret("invented-token"), token_header="X-My-Token")
    async with front(settings) as door:
        headers = {"X-My-Token": "invented-token", "Authorization": "Basic aW52ZW50ZWQ=", "Cookie": "a=b"}
        assert (await door.client.post(f"{door.url}/in/site", data=HELLO, headers=headers)).status == 200
        (raw,) = kept(door)
        assert raw.verified == "token"
        assert {raw.header(name) for name in ("x-my-token", "authorization", "cookie")} == {"***"}


async def test_an_unknown_account_is_not_found(front: Front) -> None:
    async with front() as door:
        for path in ("/in/nobody", "/in/", "/in/site/more", "/elsewhere"):
            async with door.client.post(f"{door.url}{path}", data=HELLO) as answer:
                assert answer.status == 404
                assert "nobody" not in await answer.text()


async def test_another_method_is_not_allowed(front: Front) -> None:
    async with front() as door:
        for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
            async with door.client.request(method, f"{door.url}/in/site") as answer:
                assert answer.status == 405
                assert answer.headers["Allow"] == "POST"


async def test_a_body_that_says_it_is_too_large_is_not_read(front: Front) -> None:
    async with front(limits=IngressLimits(max_body=100)) as door:
        async with door.client.post(f"{door.url}/in/site", data=b"x" * 101) as answer:
            assert answer.status == 413
        assert kept(door) == []
        assert door.gate.bytes == 0


async def test_a_body_that_turns_out_too_large_is_refused(front: Front) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10

    async with front(limits=IngressLimits(max_body=100)) as door:
        async with door.client.post(f"{door.url}/in/site", data=pieces()) as answer:
            assert answer.status == 413
        assert kept(door) == []
        assert door.gate.bytes == 0


async def test_a_body_in_pieces_is_kept_whole(front: Front) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield HELLO[:10]
        await asyncio.sleep(0)
        yield HELLO[10:]

    async with front() as door:
        assert (await door.client.post(f"{door.url}/in/site", data=pieces())).status == 200
        assert [raw.body for raw in kept(door)] == [HELLO]


async def test_a_body_that_stops_coming_times_out(front: Front) -> None:
    async with front(limits=IngressLimits(read_timeout=timedelta(milliseconds=50))) as door:
        assert await status_of(door.url, b"POST /in/site HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{") == 408


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /in/site HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /in/site HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /in/site HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"nonsense\r\n\r\n",
    ],
)
async def test_broken_framing_is_a_bad_request(front: Front, sent: bytes) -> None:
    async with front() as door:
        assert await status_of(door.url, sent) == 400
        assert kept(door) == []


async def test_more_requests_than_the_limit_are_told_to_come_back(front: Front) -> None:
    async with front(limits=IngressLimits(max_in_flight=1, retry_after=timedelta(seconds=4))) as door:
        door.desk.open.clear()
        first = asyncio.create_task(door.client.post(f"{door.url}/in/site", data=HELLO))
        await door.desk.reached.wait()
        async with door.client.post(f"{door.url}/in/site", data=HELLO) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "4"
        door.desk.open.set()
        assert (await first).status == 200
        assert (door.gate.requests, door.gate.bytes) == (0, 0)


async def test_more_bytes_than_the_limit_are_told_to_come_back(front: Front) -> None:
    async with front(limits=IngressLimits(max_in_flight_bytes=150)) as door:
        door.desk.open.clear()
        first = asyncio.create_task(door.client.post(f"{door.url}/in/site", data=b'{"text":"%s"}' % (b"x" * 100)))
        await door.desk.reached.wait()
        async with door.client.post(f"{door.url}/in/site", data=b"y" * 100) as answer:
            assert answer.status == 503
        door.desk.open.set()
        assert (await first).status == 200


async def test_garbage_is_kept_byte_for_byte_for_a_better_mapping(front: Front) -> None:
    body = b"{\xff not json"
    async with front() as door:
        headers = {"Content-Type": "application/json"}
        assert (await door.client.post(f"{door.url}/in/site", data=body, headers=headers)).status == 200
        (raw,) = kept(door)
        assert raw.body == body
        assert raw.thread is None
        assert door.desk.kept[0].key == b"site\0"


async def test_a_packed_body_is_kept_as_it_came(front: Front) -> None:
    body = gzip.compress(HELLO, mtime=0)
    async with front() as door:
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        assert (await door.client.post(f"{door.url}/in/site", data=body, headers=headers)).status == 200
        (raw,) = kept(door)
        assert raw.body == body
        assert raw.thread == "ana@example.com"


async def test_a_header_that_is_not_utf_8_can_be_kept(front: Front) -> None:
    async with front() as door:
        assert (
            await status_of(
                door.url,
                b"POST /in/site?a=%FF&b HTTP/1.1\r\nHost: x\r\nX-Odd: caf\xe9\r\nContent-Length: 38\r\n\r\n" + HELLO,
            )
            == 200
        )
        (raw,) = kept(door)
        assert raw.header("x-odd") == "café"
        assert raw.query == (("a", "\ufffd"), ("b", ""))
        assert raw.path == "/in/site"


async def test_a_query_without_end_is_refused(front: Front) -> None:
    async with front() as door:
        query = "&".join(f"a{index}=1" for index in range(500))
        async with door.client.post(f"{door.url}/in/site?{query}", data=HELLO) as answer:
            assert answer.status == 400


async def test_a_proxy_is_believed_only_when_it_is_ours(front: Front) -> None:
    settings = WebhookSettings(verify="none")
    headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7, 127.0.0.2"}
    async with front(settings) as door:
        await door.client.post(f"{door.url}/in/site", data=HELLO, headers=headers)
        assert kept(door)[-1].remote == "127.0.0.1"
    async with front(settings, proxies=["127.0.0.0/8"]) as door:
        await door.client.post(f"{door.url}/in/site", data=HELLO, headers=headers)
        assert kept(door)[-1].remote == "198.51.100.7"


async def test_a_request_through_a_proxy_is_not_from_this_machine(front: Front) -> None:
    async with front(WebhookSettings(verify="loopback")) as door:
        headers = {"X-Forwarded-For": "203.0.113.9"}
        async with door.client.post(f"{door.url}/in/site", data=HELLO, headers=headers) as answer:
            assert answer.status == 401


async def test_a_batch_is_kept_once_for_each_thread(front: Front) -> None:
    batch = (
        b'[{"from":"a@example.com","text":"1"},{"from":"b@example.com","text":"2"},{"from":"a@example.com","text":"3"}]'
    )
    async with front() as door:
        headers = {"Content-Type": "application/json", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
        assert (await door.client.post(f"{door.url}/in/site", data=batch, headers=headers)).status == 200
        assert [out.key for out in door.desk.kept] == [b"site\0a@example.com", b"site\0b@example.com"]
        assert [raw.thread for raw in kept(door)] == ["a@example.com", "b@example.com"]
        headers_of = [dict(out.headers) for out in door.desk.kept]
        assert len({each["ce_id"] for each in headers_of}) == 2
        assert {each["traceparent"] for each in headers_of} == {headers["traceparent"].encode()}
        assert {each["ce_source"] for each in headers_of} == {b"/omnibus/connectors/webhook/site"}


async def test_what_comes_is_counted(front: Front) -> None:
    with metrics.use(metrics.Metrics()) as counters:
        async with front() as door:
            await door.client.post(f"{door.url}/in/site", data=HELLO)
            await door.client.put(f"{door.url}/in/site", data=HELLO)
            headers = {"X-Forwarded-For": "203.0.113.9"}
            await door.client.post(f"{door.url}/in/site", data=HELLO, headers=headers)
        page = counters.render().decode()
    assert 'omnibus_received_total{account="site",channel="webhook"} 3.0' in page
    assert 'omnibus_accepted_total{account="site",channel="webhook"} 1.0' in page
    assert 'omnibus_rejected_total{account="site",channel="webhook",reason="unverified"} 1.0' in page


async def test_a_handshake_by_get_comes_before_the_proof_and_is_not_kept(front: Front) -> None:
    def challenge(request: Request, _settings: object) -> Answer | None:
        asked = request.param("challenge")
        return None if asked is None else Answer(body=asked.encode())

    def verify(_request: Request, _settings: object) -> Verdict:
        raise Unacceptable("never asked")

    channel = replace(CHANNEL, receive={"webhook": Webhook(verify=verify, challenge=challenge)})
    async with front(channel=channel) as door:
        async with door.client.get(f"{door.url}/in/site?challenge=1234") as answer:
            assert (answer.status, await answer.read()) == (200, b"1234")
        async with door.client.get(f"{door.url}/in/site") as answer:
            assert answer.status == 405
        async with door.client.post(f"{door.url}/in/site", data=HELLO) as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "unacceptable")
        assert kept(door) == []


async def test_the_provider_gets_the_answer_it_wants(front: Front) -> None:
    webhook = Webhook(
        verify=lambda *_: "none", answer=lambda _: Answer(status=202, body=b"<ok/>", content_type="text/xml")
    )
    async with (
        front(channel=replace(CHANNEL, receive={"webhook": webhook})) as door,
        door.client.post(f"{door.url}/in/site", data=HELLO) as answer,
    ):
        assert (answer.status, answer.content_type, await answer.read()) == (202, "text/xml", b"<ok/>")


async def test_a_signature_is_over_the_bytes_of_the_wire(front: Front) -> None:
    import hashlib
    import hmac

    secret, body = "invented-secret", gzip.compress(HELLO, mtime=0)
    settings = WebhookSettings(verify="hmac", webhook_secret=Secret(secret), hmac=HmacSettings())
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    async with front(settings) as door:
        headers = {"X-Signature": signature, "Content-Encoding": "gzip"}
        assert (await door.client.post(f"{door.url}/in/site", data=body, headers=headers)).status == 200
        assert kept(door)[0].verified == "hmac"


async def test_a_mapping_that_breaks_loses_nothing(front: Front) -> None:
    def threads(_raw: RawEvent) -> list[str]:
        raise KeyError("a bug")

    async with front(channel=replace(CHANNEL, threads=threads)) as door:
        assert (await door.client.post(f"{door.url}/in/site", data=HELLO)).status == 200
        assert [raw.thread for raw in kept(door)] == [None]
