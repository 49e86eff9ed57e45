"""The connectors stage over a real embedded bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from connectors._ingress.service import ConnectorsService
from connectors.webhook.channel import CHANNEL
from connectors.webhook.settings import WebhookSettings
from omnibus.config.model import HttpSettings, TlsSettings
from omnibus.errors import Misconfigured
from omnibus.model import codec
from omnibus.testing.door import account_of, open_door

SITE = {"site": account_of(CHANNEL, WebhookSettings(), "site")}
HELLO = b'{"from":"ana@example.com","text":"hi"}'


async def test_curl_is_enough(tmp_path: Path) -> None:
    async with open_door(tmp_path, SITE) as door, aiohttp.ClientSession() as client:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}  # what `curl -d` says of everything
        assert (await client.post(f"{door.url}/in/site", data=HELLO, headers=headers)).status == 200
        (raw,) = await door.stored("webhook")
        assert (raw.body, raw.thread) == (HELLO, "ana@example.com")
        assert [event.thread for event in CHANNEL.map(raw)] == ["ana@example.com"]


async def test_a_thousand_requests_at_once_are_all_kept_and_none_twice(tmp_path: Path) -> None:
    async with open_door(tmp_path, SITE) as door, aiohttp.ClientSession() as client:

        async def post(index: int) -> int:
            body = f'{{"id":"{index}","from":"p{index % 50}@example.com","text":"hi"}}'
            async with client.post(f"{door.url}/in/site", data=body) as answer:
                return answer.status

        assert set(await asyncio.gather(*(post(index) for index in range(1_000)))) == {200}
        stored = await door.stored("webhook")
        assert {event.native_id for raw in stored for event in CHANNEL.map(raw)} == {str(i) for i in range(1_000)}
        assert len(stored) == 1_000


async def test_a_stop_finishes_what_is_in_hand_and_takes_nothing_new(tmp_path: Path) -> None:
    async with open_door(tmp_path, SITE) as door, aiohttp.ClientSession() as client:
        arriving = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield HELLO[:5]
            arriving.set()
            await draining.wait()
            yield HELLO[5:]

        draining = asyncio.Event()
        asked = asyncio.create_task(client.post(f"{door.url}/in/site", data=slowly()))
        await arriving.wait()
        service = door.service
        assert isinstance(service, ConnectorsService)
        await until(lambda: service.gate.requests > 0)
        stopping = asyncio.create_task(service.drain(20.0))
        await until(lambda: service.gate.is_closed)
        draining.set()
        assert (await asked).status == 200
        await stopping
        assert [raw.body for raw in await door.stored("webhook")] == [HELLO]


async def test_a_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with open_door(tmp_path, SITE) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(door.url.rpartition(":")[2]))
        writer.write(b"POST /in/site HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        service = door.service
        assert isinstance(service, ConnectorsService)
        await until(lambda: service.gate.requests > 0)
        await service.drain(2.1)
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection("127.0.0.1", service.port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_port_in_use_is_a_wrong_setting(tmp_path: Path) -> None:
    async with open_door(tmp_path / "first", SITE) as door:
        taken = HttpSettings(port=int(door.url.rpartition(":")[2]))
        with pytest.raises(Misconfigured, match="cannot listen"):
            async with open_door(tmp_path / "second", SITE, taken):
                pass


async def test_a_certificate_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    tls = TlsSettings(certificate=tmp_path / "none.pem", key=tmp_path / "none.key")
    with pytest.raises(Misconfigured, match="certificate"):
        async with open_door(tmp_path, SITE, HttpSettings(port=0, tls=tls)):
            pass


async def test_others_serve_at_the_same_address(tmp_path: Path) -> None:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    def add_routes(app: web.Application) -> None:
        app.router.add_get("/health/live", hello)

    async with open_door(tmp_path, SITE) as door:
        service = ConnectorsService(door.runtime)
        service.also_serve(add_routes)
        await service.start()
        async with aiohttp.ClientSession() as client:
            assert await (await client.get(f"http://127.0.0.1:{service.port}/health/live")).text() == "hello"
            assert (await client.get(f"http://127.0.0.1:{service.port}/health/other")).status == 404
        await service.drain(5.0)


async def test_a_change_of_an_account_is_an_event(tmp_path: Path) -> None:
    async with open_door(tmp_path, SITE) as door:
        service = ConnectorsService(door.runtime)
        account = SITE["site"]
        for state, reason in (("ok", ""), ("ok", ""), ("degraded", "busy"), ("disconnected", "revoked")):
            service.statuses.tell(account, state, reason)  # type: ignore[arg-type]  # literals of a table
        await service.statuses.settled()
        events = [codec.decode(record) for record in await door.records(door.runtime.topics.events)]
        assert [event.type for event in events] == [
            "omnibus.channel.connected.v1",
            "omnibus.channel.degraded.v1",
            "omnibus.channel.disconnected.v1",
        ]
        assert {event.subject for event in events} == {"site"}
        assert service.statuses.of("site") == ("disconnected", "revoked")


async def until(holds: Callable[[], bool]) -> None:
    """Let the others run until something holds."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - the counters of the gate are plain numbers; there is no event to wait for
            await asyncio.sleep(0.001)
