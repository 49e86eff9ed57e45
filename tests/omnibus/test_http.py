"""Outbound HTTP reaches only where it may, reads only so much, and names what comes next."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from omnibus.errors import InvalidPayload, Refused, TryAgain
from omnibus.http import (
    AddressRefused,
    Http,
    Part,
    Response,
    SocketClosed,
    expect_ok,
    response_error,
    retry_after,
    safe_url,
)
from omnibus.telemetry.redact import remember

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., Awaitable[str]]
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server around one handler and return its address."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, host, 0, ssl_context=tls)
        await site.start()
        return f"http://{host}:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http(allow_private=True) as client:
        yield client


class Names(AbstractResolver):
    """A name server that gives one answer after the other, and the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0),
        ]

    async def close(self) -> None:
        return None


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "body": body.decode("latin-1"),
            "type": request.headers.get("Content-Type", ""),
            "authorization": request.headers.get("Authorization", ""),
            "cookie": request.headers.get("Cookie", ""),
        }
    )


def port_of(url: str) -> str:
    return url.rpartition(":")[2]


# -- asking and answering ----------------------------------------------------------------------------------------------


async def test_a_request_brings_back_status_headers_and_body(serve: Serve, http: Http) -> None:
    async def teapot(request: web.Request) -> web.Response:
        return web.Response(status=418, headers={"X-Kind": "oolong"}, body=b"short and stout")

    answer = await http.request("GET", await serve(teapot))

    assert (answer.status, answer.body, answer.header("x-kind")) == (418, b"short and stout", "oolong")
    assert not answer.ok


async def test_only_a_part_with_a_file_name_is_a_file(serve: Serve, http: Http) -> None:
    async def echo(request: web.Request) -> web.Response:
        fields = await request.post()
        told = {name: value.filename if isinstance(value, web.FileField) else value for name, value in fields.items()}
        return web.json_response(told)

    file = Part(name="document", value=b"%PDF", file_name="fatura de março.pdf", content_type="application/pdf")
    answer = await http.request("POST", await serve(echo), parts=[Part(name="caption", value="olá".encode()), file])
    assert answer.json() == {"caption": "olá", "document": "fatura de março.pdf"}


async def test_bodies_travel_as_json_form_multipart_or_bytes(serve: Serve, http: Http) -> None:
    url = await serve(echo)

    as_json = (await http.request("POST", url, json={"a": 1})).json()
    as_form = (await http.request("POST", url, form={"a": "1 2"})).json()
    as_bytes = (await http.request("PUT", url, body=b"raw", headers={"content-type": "text/x-own"})).json()
    parts = [Part(name="photo", value=b"\x89PNG", file_name="cat.png", content_type="image/png")]
    as_parts = (await http.request("POST", url, parts=parts)).json()

    assert (as_json["body"], as_json["type"]) == ('{"a":1}', "application/json")
    assert (as_form["body"], as_form["type"]) == ("a=1+2", "application/x-www-form-urlencoded")
    assert (as_bytes["method"], as_bytes["body"], as_bytes["type"]) == ("PUT", "raw", "text/x-own")
    assert as_parts["type"].startswith("multipart/form-data")
    assert 'filename="cat.png"' in as_parts["body"]


async def test_two_bodies_are_a_mistake(http: Http) -> None:
    with pytest.raises(ValueError, match="give one of"):
        await http.request("POST", "http://127.0.0.1", body=b"", json={})


async def test_the_quoting_of_a_signed_address_is_left_alone(serve: Serve, http: Http) -> None:
    url = await serve(echo)
    answer = await http.request("GET", f"{url}/a%2Fb?sig=x%2By%3D%7E&n=%41")

    assert answer.json()["path"] == "/a%2Fb?sig=x%2By%3D%7E&n=%41"


async def test_query_values_are_added_and_quoted(serve: Serve, http: Http) -> None:
    answer = await http.request("GET", await serve(echo), query={"q": "a&b ç"})

    assert answer.json()["path"] == "/?q=a%26b+%C3%A7"


async def test_cookies_are_not_kept(serve: Serve, http: Http) -> None:
    async def cookie(request: web.Request) -> web.StreamResponse:
        answer = await echo(request)
        answer.set_cookie("session", "invented")
        return answer

    url = await serve(cookie)
    await http.request("GET", url)

    assert (await http.request("GET", url)).json()["cookie"] == ""


async def test_a_body_that_is_not_json_is_an_invalid_payload() -> None:
    with pytest.raises(InvalidPayload, match=r"response\.body: expected JSON"):
        Response(status=200, body=b"<html>").json()


# -- faults ------------------------------------------------------------------------------------------------------------


async def test_a_closed_port_is_a_passing_fault(http: Http) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(TryAgain, match=r"127\.0\.0\.1"):
            await http.request("GET", f"http://127.0.0.1:{reserved.getsockname()[1]}")


async def test_no_answer_in_time_is_a_passing_fault(serve: Serve, http: Http) -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        asked.set()
        await released.wait()
        return web.Response()

    with pytest.raises(TryAgain, match="no answer in time"):
        await http.request("GET", await serve(silent), timeout=timedelta(milliseconds=50))
    released.set()
    assert asked.is_set()


async def test_a_connection_that_breaks_off_is_a_passing_fault(serve: Serve, http: Http) -> None:
    async def breaking(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return answer

    with pytest.raises(TryAgain):
        await http.request("GET", await serve(breaking))


async def test_cancelling_a_request_passes_through(serve: Serve, http: Http) -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        asked.set()
        await released.wait()
        return web.Response()

    task = asyncio.create_task(http.request("GET", await serve(silent)))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    released.set()


async def test_exceptions_show_neither_path_nor_query_nor_user(http: Http) -> None:
    with pytest.raises(TryAgain) as fault:
        await http.request("GET", "http://user:hunter22@127.0.0.1:1/bot123:SECRET/send?token=SECRET")

    assert "SECRET" not in repr(fault.value)
    assert "hunter22" not in repr(fault.value)
    assert fault.value.__cause__ is None


def test_a_url_in_a_log_line_has_no_user_query_or_known_secret() -> None:
    remember("123456:AAH-invented")

    shown = safe_url("https://user:pw@api.example.com/bot123456:AAH-invented/send?token=x#y")

    assert shown == "https://api.example.com/bot***/send"


@pytest.mark.parametrize(
    "url", ["", "ftp://files.example.com/a", "file:///etc/passwd", "http://", "//example.com", "x"]
)
async def test_only_http_is_spoken(http: Http, url: str) -> None:
    with pytest.raises(Refused, match="not a URL we can reach"):
        await http.request("GET", url)


# -- where we may go ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "0.0.0.0", "10.0.0.8", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "100.100.100.200", "168.63.129.16", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:db8::1]",
        "localhost", "2130706433", "0x7f000001", "127.1", "0177.0.0.1",
    ],
)  # fmt: skip
async def test_an_address_that_is_not_public_is_never_connected_to(host: str) -> None:
    async with Http() as http:
        with pytest.raises(Refused) as refusal:
            await http.request("GET", f"http://{host}:1/latest/meta-data", timeout=timedelta(seconds=5))

    assert refusal.value.code == "MEDIA_NOT_REACHABLE"


async def test_a_name_that_resolves_to_the_inside_is_refused(serve: Serve) -> None:
    url = await serve(hello)
    async with Http(resolver=Names("127.0.0.1")) as http:
        with pytest.raises(AddressRefused, match=r"cdn\.example\.com"):
            await http.request("GET", f"http://cdn.example.com:{port_of(url)}/")


async def test_a_name_that_changes_its_mind_is_refused(serve: Serve) -> None:
    """DNS rebinding: the first answer is a permitted address, the next is an inner one."""
    port = port_of(await serve(hello))
    async with Http(resolver=Names("127.0.0.1", "127.0.0.2"), may_reach=lambda ip: ip == "127.0.0.1") as http:
        first = await http.request("GET", f"http://cdn.example.com:{port}/", headers={"Connection": "close"})
        await http.close()
        with pytest.raises(AddressRefused):
            await http.request("GET", f"http://cdn.example.com:{port}/")

    assert first.body == b"hello"


async def test_an_inner_connection_is_not_lent_to_a_guarded_request(serve: Serve) -> None:
    url = await serve(hello)
    async with Http() as http:
        assert (await http.request("GET", url, allow_private=True)).ok
        with pytest.raises(AddressRefused):
            await http.request("GET", url)


async def test_the_operators_own_addresses_may_be_inside(serve: Serve, http: Http) -> None:
    assert (await http.request("GET", await serve(hello))).ok


# -- redirects ---------------------------------------------------------------------------------------------------------


def redirecting(to: str, status: int = 302) -> Handler:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": to})

    return redirect


async def test_redirects_are_not_followed_unless_asked(serve: Serve, http: Http) -> None:
    answer = await http.request("GET", await serve(redirecting("/elsewhere")))

    assert (answer.status, answer.header("location")) == (302, "/elsewhere")


async def test_a_redirect_is_checked_like_the_first_address(serve: Serve) -> None:
    inner = await serve(hello, "127.0.0.2")
    outer = await serve(redirecting(inner))
    async with Http(may_reach=lambda ip: ip == "127.0.0.1") as http:
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.2"):
            await http.request("GET", outer, follow=3)


async def test_a_redirect_to_another_scheme_is_refused(serve: Serve, http: Http) -> None:
    url = await serve(redirecting("file:///etc/passwd"))
    with pytest.raises(Refused, match="not a URL we can reach"):
        await http.request("GET", url, follow=1)


async def test_credentials_do_not_follow_to_another_origin(serve: Serve, http: Http) -> None:
    url = await serve(redirecting(await serve(echo)))
    answer = await http.request("GET", url, headers={"Authorization": "Bearer invented"}, follow=1)

    assert answer.json()["authorization"] == ""


async def test_a_body_does_not_follow_to_another_origin(serve: Serve, http: Http) -> None:
    url = await serve(redirecting(await serve(echo), status=307))
    answer = await http.request("POST", url, json={"text": "private"}, follow=1)

    assert (answer.json()["method"], answer.json()["body"]) == ("POST", "")


async def test_a_redirect_loop_ends_with_its_last_answer(serve: Serve, http: Http) -> None:
    answer = await http.request("GET", await serve(redirecting("/again")), follow=4)

    assert answer.status == 302


# -- how much ----------------------------------------------------------------------------------------------------------


async def test_an_answer_larger_than_allowed_is_refused(serve: Serve, http: Http) -> None:
    async def large(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1001)

    url = await serve(large)
    assert len((await http.request("GET", url, max_response_bytes=1001)).body) == 1001
    with pytest.raises(Refused, match="larger than 1000 bytes"):
        await http.request("GET", url, max_response_bytes=1000)


async def test_a_small_answer_that_unpacks_to_a_large_one_is_refused(serve: Serve, http: Http) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000, mtime=0)

    async def explode(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    with pytest.raises(Refused, match="larger than 1000000 bytes"):
        await http.request("GET", await serve(explode), max_response_bytes=1_000_000)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello", mtime=0)),
        ("gzip", gzip.compress(b"hel", mtime=0) + gzip.compress(b"lo", mtime=0)),
        ("deflate", zlib.compress(b"hello")),
        ("identity", b"hello"),
    ],
)
async def test_packed_answers_are_unpacked(serve: Serve, http: Http, encoding: str, packed: bytes) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": encoding})

    assert (await http.request("GET", await serve(handler))).body == b"hello"


async def test_an_empty_answer_that_calls_itself_packed_is_empty(serve: Serve, http: Http) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(headers={"Content-Encoding": "gzip"})

    assert (await http.request("GET", await serve(handler))).body == b""


@pytest.mark.parametrize(
    ("packed", "why"), [(b"not gzip at all", "damaged"), (gzip.compress(b"hello", mtime=0)[:-9], "cut")]
)
async def test_a_damaged_answer_is_a_passing_fault(serve: Serve, http: Http, packed: bytes, why: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    with pytest.raises(TryAgain, match=why):
        await http.request("GET", await serve(handler))


async def test_an_encoding_we_did_not_ask_for_is_refused(serve: Serve, http: Http) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"Content-Encoding": "br"})

    with pytest.raises(Refused, match="did not ask for"):
        await http.request("GET", await serve(handler))


# -- downloads ---------------------------------------------------------------------------------------------------------


async def test_a_download_arrives_in_chunks(serve: Serve, http: Http) -> None:
    data = bytes(range(256)) * 2_000

    async def file(request: web.Request) -> web.Response:
        return web.Response(body=data, content_type="image/png")

    async with http.stream(await serve(file), max_bytes=len(data)) as download:
        chunks = [chunk async for chunk in download.chunks]

    assert b"".join(chunks) == data
    assert len(chunks) > 1
    assert download.header("Content-Type") == "image/png"


async def test_a_download_that_announces_too_much_is_refused_at_once(serve: Serve, http: Http) -> None:
    async def file(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 11)

    with pytest.raises(Refused) as refusal:
        async with http.stream(await serve(file), max_bytes=10):
            pass

    assert refusal.value.code == "MEDIA_TOO_LARGE"


async def test_a_download_without_an_announced_size_is_stopped_at_the_limit(serve: Serve, http: Http) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * 10_000)
        except ConnectionError:
            return answer

    async with http.stream(await serve(endless), max_bytes=100_000) as download:
        with pytest.raises(Refused) as refusal:
            _ = [chunk async for chunk in download.chunks]

    assert refusal.value.code == "MEDIA_TOO_LARGE"


async def test_a_download_that_is_gone_says_so(serve: Serve, http: Http) -> None:
    async def gone(request: web.Request) -> web.Response:
        return web.Response(status=410)

    with pytest.raises(Refused) as refusal:
        async with http.stream(await serve(gone), max_bytes=10):
            pass

    assert refusal.value.native_code == "410"


async def test_the_readers_own_fault_is_not_blamed_on_the_download(serve: Serve, http: Http) -> None:
    with pytest.raises(OSError, match="disk full"):
        async with http.stream(await serve(hello), max_bytes=10):
            raise OSError("disk full")


# -- sockets -----------------------------------------------------------------------------------------------------------


async def test_a_socket_carries_text_both_ways_and_says_when_it_is_closed(serve: Serve, http: Http) -> None:
    async def upper(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str((await socket.receive_str()).upper())
        await socket.close(code=4004)
        return socket

    url = (await serve(upper)).replace("http:", "ws:")
    async with http.websocket(url) as channel:
        await channel.send("hello")
        assert await channel.receive() == "HELLO"
        with pytest.raises(SocketClosed) as closed:
            await channel.receive()
        with pytest.raises(SocketClosed):
            await channel.send("still there?")

    assert closed.value.close_code == 4004


async def test_a_socket_is_guarded_too(serve: Serve) -> None:
    url = (await serve(hello)).replace("http:", "ws:")
    async with Http() as http:
        with pytest.raises(AddressRefused):
            async with http.websocket(url):
                pass


async def test_a_refused_handshake_is_told_by_its_status(serve: Serve, http: Http) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=401)

    url = (await serve(refuse)).replace("http:", "ws:")
    with pytest.raises(Refused) as refusal:
        async with http.websocket(url):
            pass

    assert refusal.value.code == "CHANNEL_BAD_CONFIGURATION"


# -- what a status means -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_or_broken_destination_is_tried_again(status: int) -> None:
    with pytest.raises(TryAgain) as fault:
        response_error(Response(status=status, headers={"Retry-After": "7"}, body=b"Dear Ms Doe"))

    assert fault.value.after == timedelta(seconds=7)
    assert "Doe" not in str(fault.value)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "CHANNEL_FAILURE"),
        (401, "CHANNEL_BAD_CONFIGURATION"),
        (403, "NO_PERMISSION"),
        (404, "CHANNEL_FAILURE"),
        (413, "MEDIA_TOO_LARGE"),
        (415, "MEDIA_TYPE_UNSUPPORTED"),
    ],
)
def test_a_refusal_is_final_and_in_our_vocabulary(status: int, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        response_error(Response(status=status))

    assert (refusal.value.code, refusal.value.native_code) == (code, str(status))


def test_a_good_answer_is_handed_on() -> None:
    answer = Response(status=204)

    assert expect_ok(answer) is answer
    with pytest.raises(Refused):
        expect_ok(Response(status=302))


@pytest.mark.parametrize(
    ("value", "delay"),
    [
        ("120", timedelta(seconds=120)),
        (" 1.5 ", timedelta(seconds=1.5)),
        ("0", timedelta(0)),
        ("-3", timedelta(0)),
        ("Mon, 05 Jan 2026 09:00:30 GMT", timedelta(seconds=30)),
        ("Mon, 05 Jan 2026 08:00:00 GMT", timedelta(0)),
        ("Mon, 05 Jan 2026 09:00:30 -0000", timedelta(seconds=30)),
        ("999999999999999999999999", timedelta(days=1)),
        ("1e999", timedelta(days=1)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(days=1)),
        ("soon", None),
        ("12 monkeys", None),
        ("", None),
        ("9" * 70, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date_and_bounded(value: str, delay: timedelta | None) -> None:
    assert retry_after({"retry-AFTER": value}, NOW) == delay


def test_no_retry_after_is_none() -> None:
    assert retry_after({}, NOW) is None
