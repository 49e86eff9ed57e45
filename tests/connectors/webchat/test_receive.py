"""What a visitor may rely on: a message that was acknowledged is stored, once, and shown wherever they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import aiohttp
import pytest

from connectors.webchat.mapping import map_event
from omnibus.channel.events import Delivery, Message
from omnibus.model import content as c

if TYPE_CHECKING:
    from tests.connectors.webchat.conftest import Installation

Browsers = Callable[[], aiohttp.ClientSession]


async def thread_of(installation: Installation) -> str:
    threads = {raw.thread for raw in await installation.raws()}
    assert len(threads) == 1
    return threads.pop() or ""


async def test_an_acknowledged_message_is_on_the_bus_byte_for_byte(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    frame = '{"type":"message",  "id":"0123456789abcdef","text":"Olá, tudo bem?"}'
    async with installation.widget(browser) as widget:
        await widget.socket.send_str(frame)
        ack = await widget.until("ack")
        [raw] = await installation.raws()

    assert ack["id"] == "0123456789abcdef"
    assert frame.encode() in raw.body
    [message] = list(map_event(raw))
    assert isinstance(message, Message)
    assert message.content == c.Text(text="Olá, tudo bem?")
    assert message.sender.scheme == "cookie"


async def test_a_message_sent_again_after_a_reconnect_is_one_message(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser) as widget:
        first = await widget.say("are you there?", "aaaaaaaaaaaaaaaa")
    async with installation.widget(browser) as widget:
        second = await widget.say("are you there?", "aaaaaaaaaaaaaaaa")
    async with installation.widget(browser) as widget:
        assert [entry["text"] for entry in widget.entries] == ["are you there?"]

    assert first == second
    assert len(await installation.raws()) == 1


async def test_a_message_that_another_process_stored_keeps_its_place(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    """A restart forgets which frames were acknowledged; the history still knows."""
    async with installation.widget(browser) as widget:
        first = await widget.say("hello", "bbbbbbbbbbbbbbbb")
    await installation.stop()
    await installation.start()
    async with installation.widget(browser) as widget:
        again = await widget.say("hello", "bbbbbbbbbbbbbbbb")

    assert again["key"] == first["key"]
    natives = {event.native_id for raw in await installation.raws() for event in map_event(raw)}
    assert len(natives) == 1


async def test_a_reply_reaches_the_open_chat_and_stays_after_a_reload(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser) as widget:
        await widget.say("hi")
        sent = await installation.reply(await thread_of(installation), c.Text(text="Hello!"), "msg_1")
        while (pushed := (await widget.until("message"))["entry"])["author"] == "visitor":
            pass
    async with installation.widget(browser) as widget:
        shown = [(entry["author"], entry["text"]) for entry in widget.entries]

    assert sent.native_ids == ("msg_1",)
    assert (pushed["author"], pushed["name"], pushed["text"]) == ("agent", "Bruno", "Hello!")
    assert shown == [("visitor", "hi"), ("agent", "Hello!")]


async def test_two_tabs_show_the_same_conversation(installation: Installation, browser: aiohttp.ClientSession) -> None:
    async with installation.widget(browser) as one:
        await one.say("from the first tab")
        async with installation.widget(browser) as two:
            assert [entry["text"] for entry in two.entries] == ["from the first tab"]
            await two.say("from the second tab")
            texts = {(await one.until("message"))["entry"]["text"], (await one.until("message"))["entry"]["text"]}

    assert texts == {"from the first tab", "from the second tab"}


async def test_nobody_sees_another_visitors_chat(installation: Installation, browsers: Browsers) -> None:
    async with installation.widget(browsers()) as ana:
        await ana.say("my secret order")
        async with installation.widget(browsers()) as ben:
            assert ben.entries == []
            await ben.say("mine")
            assert (await ben.until("message"))["entry"]["text"] == "mine"

    assert len({raw.thread for raw in await installation.raws()}) == 2


async def test_one_visitor_cannot_name_the_message_of_another(installation: Installation, browsers: Browsers) -> None:
    async with installation.widget(browsers()) as ana, installation.widget(browsers()) as ben:
        await ana.say("first", "cccccccccccccccc")
        await ben.say("second", "cccccccccccccccc")

    natives = {event.native_id for raw in await installation.raws() for event in map_event(raw)}
    assert len(natives) == 2


async def test_a_widget_that_comes_back_gets_what_it_missed(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser) as widget:
        key = (await widget.say("one moment"))["key"]
    await installation.reply(await thread_of(installation), c.Text(text="Of course."), "msg_2")
    async with installation.widget(browser, after=key) as widget:
        assert "Of course." in [entry.get("text") for entry in widget.entries]


async def test_older_messages_come_in_pages(installation: Installation, browser: aiohttp.ClientSession) -> None:
    async with installation.widget(browser) as widget:
        keys = [(await widget.say(f"number {number}"))["key"] for number in range(6)]
        await widget.send({"type": "history", "before": keys[4], "limit": 3})
        page = await widget.until("history")

    assert [entry["text"] for entry in page["entries"]] == ["number 1", "number 2", "number 3"]
    assert page["more"] is True


async def test_receipts_become_delivery_reports(installation: Installation, browser: aiohttp.ClientSession) -> None:
    async with installation.widget(browser) as widget:
        await widget.say("hi")
        await widget.send({"type": "receipt", "ids": ["msg_1", "msg_2"], "status": "read"})
        await widget.say("still here")

    events = [event for raw in await installation.raws() for event in map_event(raw)]
    deliveries = [event for event in events if isinstance(event, Delivery)]
    assert [(event.target, event.status) for event in deliveries] == [("msg_1", "read"), ("msg_2", "read")]


async def test_a_frame_of_a_newer_widget_is_stored_for_later(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser) as widget:
        await widget.send({"type": "sketch", "id": "dddddddddddddddd", "strokes": [[0, 0], [1, 1]]})
        await widget.until("ack")

    [message] = [event for raw in await installation.raws() for event in map_event(raw)]
    assert isinstance(message, Message)
    assert message.content == c.Unsupported(native_type="sketch")


async def test_choices_are_buttons_and_the_answer_says_which(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    options = (c.Option(id="yes", title="Yes"), c.Option(id="site", title="Our page", url="https://example.com/"))
    async with installation.widget(browser) as widget:
        await widget.say("hi")
        thread = await thread_of(installation)
        await installation.reply(thread, c.Choices(text="Did that help?", options=options), "msg_3")
        while "options" not in (entry := (await widget.until("message"))["entry"]):
            pass
        await widget.send(
            {"type": "choice", "id": "e" * 16, "option_id": "yes", "title": "Yes", "in_reply_to": entry["id"]}
        )
        await widget.until("ack")
        events = [event for raw in await installation.raws() for event in map_event(raw)]

    assert entry["options"] == [
        {"id": "yes", "title": "Yes"},
        {"id": "site", "title": "Our page", "url": "https://example.com/"},
    ]
    [answer] = [event for event in events if isinstance(event, Message) and event.in_reply_to is not None]
    assert answer.content == c.ChoiceResponse(option_id="yes", title="Yes")
    assert answer.in_reply_to == "msg_3"


# --- who comes in ---------------------------------------------------------------------------------


async def test_a_page_of_a_foreign_origin_is_refused(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with installation.line(browser, origin="https://evil.example.net"):
            pass
    assert refusal.value.status == 403


@pytest.mark.parametrize("origin", ["own", "https://shop.example.com"])
async def test_our_own_and_the_configured_pages_may_embed_the_chat(
    installation: Installation, browser: aiohttp.ClientSession, origin: str
) -> None:
    page = installation.origin if origin == "own" else origin
    async with installation.widget(browser, origin=page) as widget:
        assert (await widget.say("hi"))["type"] == "ack"


async def test_the_cookie_is_kept_from_scripts(installation: Installation, browser: aiohttp.ClientSession) -> None:
    async with installation.widget(browser):
        pass
    [cookie] = list(browser.cookie_jar)
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/ch/site"
    assert int(cookie["max-age"]) == 365 * 86_400


async def test_a_forged_cookie_is_nobody(installation: Installation, browsers: Browsers) -> None:
    ana, eve = browsers(), browsers()
    async with installation.widget(ana) as widget:
        await widget.say("hi")
    [cookie] = list(ana.cookie_jar)
    forged = cookie.value.replace(cookie.value.split(".")[2], "9999999999")
    async with eve.ws_connect(installation.url("/ws"), headers={"Cookie": f"omnibus_visitor={forged}"}) as socket:
        await socket.send_str('{"type":"hello"}')
        welcome = await socket.receive_json(timeout=30)
    assert welcome["entries"] == []


async def test_an_embed_without_cookies_is_known_by_its_token(installation: Installation, browsers: Browsers) -> None:
    async with installation.widget(browsers()) as widget:
        await widget.say("hi")
        token = widget.welcome["token"]
    async with installation.widget(browsers(), token=token) as widget:
        assert [entry["text"] for entry in widget.entries] == ["hi"]


async def test_the_history_of_a_verified_user_follows_them_to_another_device(
    installation: Installation, browsers: Browsers, hmac_of: Callable[[str], str]
) -> None:
    user = {"user_id": "customer-17", "hmac": hmac_of("customer-17"), "name": "Ana"}
    async with installation.widget(browsers(), user=user) as phone:
        await phone.say("from my phone")
    async with installation.widget(browsers(), user=user) as laptop:
        assert [entry["text"] for entry in laptop.entries] == ["from my phone"]

    [raw] = await installation.raws()
    [message] = list(map_event(raw))
    assert isinstance(message, Message)
    assert (message.sender.scheme, message.sender.value, message.sender.verified) == ("app_user", "customer-17", "hmac")
    assert raw.verified == "hmac"


@pytest.mark.parametrize("signature", [None, "0" * 64])
async def test_a_user_without_the_right_signature_is_turned_away(
    installation: Installation, browser: aiohttp.ClientSession, signature: str | None
) -> None:
    user = {"user_id": "customer-17"} | ({} if signature is None else {"hmac": signature})
    async with installation.line(browser) as widget:
        await widget.send({"type": "hello", "user": user})
        assert (await widget.next())["code"] == "identity_refused"
        assert await widget.closed() == 4401


# --- how much -------------------------------------------------------------------------------------


async def test_a_frame_that_is_too_large_ends_the_chat(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser) as widget:
        await widget.send({"type": "message", "id": "f" * 16, "text": "x" * 70_000})
        assert await widget.closed() == 1009
    assert await installation.raws() == []


async def test_binary_frames_end_the_chat(installation: Installation, browser: aiohttp.ClientSession) -> None:
    async with installation.widget(browser) as widget:
        await widget.socket.send_bytes(b"\x00\x01")
        assert await widget.closed() == 1003


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nonsense",
        "[1]",
        '{"type":"message"}',
        '{"type":"message","id":"short","text":"x"}',
        '{"type":"message","id":"aaaaaaaaaaaaaaaa","text":7}',
        '{"type":"message","id":"aaaaaaaaaaaaaaaa","text":"  "}',
        '{"type":"message","id":"aaaaaaaaaaaaaaaa","text":"\\ud800"}',
        '{"type":"receipt","ids":[],"status":"read"}',
        '{"type":"hello"}',
        '{"type":"Unheard of","id":"aaaaaaaaaaaaaaaa"}',
        '{"type":"sketch","id":"aaaaaaaaaaaaaaaa","x":' + "[" * 20_000,
        '{"type":"sketch","id":"aaaaaaaaaaaaaaaa","x":' + "[" * 20_000 + "]" * 20_000 + "}",
    ],
)
async def test_a_damaged_frame_is_refused_and_the_chat_goes_on(
    installation: Installation, browser: aiohttp.ClientSession, frame: str
) -> None:
    async with installation.widget(browser) as widget:
        await widget.socket.send_str(frame)
        assert (await widget.next())["code"] == "invalid"
        assert (await widget.say("still here"))["type"] == "ack"
    assert len(await installation.raws()) == 1


async def test_who_sends_only_nonsense_is_cut_off(installation: Installation, browser: aiohttp.ClientSession) -> None:
    async with installation.widget(browser) as widget:
        for _ in range(20):
            await widget.socket.send_str("nonsense")
        assert await widget.closed() == 1008


async def test_nothing_is_stored_before_hello(installation: Installation, browser: aiohttp.ClientSession) -> None:
    async with installation.line(browser) as widget:
        await widget.send({"type": "message", "id": "a" * 16, "text": "hi"})
        assert (await widget.next())["code"] == "hello_first"
    assert await installation.raws() == []


async def test_a_visitor_who_writes_too_fast_is_told_when_to_go_on(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser, account="strict") as widget:
        for number in range(11):
            await widget.send({"type": "message", "id": f"{number:016d}", "text": "hi"})
        problem = await widget.until("error")

    assert problem["code"] == "rate_limited"
    assert problem["id"] == f"{10:016d}"
    assert problem["after_ms"] > 0


async def test_a_text_beyond_the_setting_is_refused(installation: Installation, browser: aiohttp.ClientSession) -> None:
    async with installation.widget(browser, account="strict") as widget:
        await widget.send({"type": "message", "id": "a" * 16, "text": "x" * 21})
        assert (await widget.until("error"))["code"] == "too_long"


async def test_a_visitor_has_so_many_chats_open_and_no_more(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser, account="strict") as one, installation.widget(browser, account="strict"):
        async with installation.line(browser, account="strict") as third:
            await third.send({"type": "hello"})
            assert await third.closed() == 4429
        assert (await one.say("hi"))["type"] == "ack"


async def test_an_address_has_so_many_chats_open_and_no_more(installation: Installation, browsers: Browsers) -> None:
    async with (
        installation.line(browsers(), account="strict"),
        installation.line(browsers(), account="strict"),
        installation.line(browsers(), account="strict"),
        installation.line(browsers(), account="strict"),
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with installation.line(browsers(), account="strict"):
                pass
        assert refusal.value.status == 429


async def test_behind_a_trusted_proxy_the_client_counts_and_not_the_proxy(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with browser.ws_connect(installation.url("/ws"), headers={"X-Forwarded-For": "203.0.113.7"}) as socket:
        await socket.send_str('{"type":"hello"}')
        await socket.receive(timeout=30)
        await socket.send_str('{"type":"message","id":"aaaaaaaaaaaaaaaa","text":"hi"}')
        await socket.receive(timeout=30)
    assert [raw.remote for raw in await installation.raws()] == ["203.0.113.7"]


async def test_a_chat_open_in_another_process_gets_the_message_too(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    """Two front doors on one bus, as behind a load balancer: the history is followed in both."""
    async with installation.another() as other, installation.widget(browser) as here:
        token = here.welcome["token"]
        async with aiohttp.ClientSession() as elsewhere, other.widget(elsewhere, token=token) as there:
            await here.say("written here")
            assert (await there.until("message"))["entry"]["text"] == "written here"
            await there.say("answered there")
            await here.until("message")
            assert (await here.until("message"))["entry"]["text"] == "answered there"


# --- typing, restart ------------------------------------------------------------------------------


async def test_typing_is_shown_and_never_stored(
    installation: Installation, browser: aiohttp.ClientSession, typing_token: str
) -> None:
    async with installation.widget(browser) as widget:
        await widget.say("hi")
        notice = {"thread": await thread_of(installation), "on": True, "name": "Bruno"}
        headers = {"Authorization": f"Bearer {typing_token}"}
        async with browser.post(installation.url("/typing"), json=notice, headers=headers) as answer:
            assert await answer.json() == {"reached": 1}
        shown = await widget.until("typing")
        await widget.send({"type": "typing", "on": True})
        await widget.say("done")

    assert shown == {"type": "typing", "on": True, "name": "Bruno"}
    assert len(await installation.raws()) == 2


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_typing_needs_the_token(
    installation: Installation, browser: aiohttp.ClientSession, token: str | None
) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with browser.post(installation.url("/typing"), json={"thread": "v:1"}, headers=headers) as answer:
        assert answer.status == 401


async def test_a_stop_closes_the_chats_so_that_widgets_come_back(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with installation.widget(browser) as widget:
        _, code = await asyncio.gather(installation.stop(), widget.closed())
        assert code in (1001, 1012)
    await installation.start()


# --- pages ----------------------------------------------------------------------------------------


async def test_the_widget_is_served_once_and_then_only_confirmed(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with browser.get(installation.url("/widget.js")) as answer:
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert len(await answer.read()) == int(answer.headers["Content-Length"]) or answer.headers["Content-Encoding"]
        assert int(answer.headers["Content-Length"]) < 25_000
        tag = answer.headers["ETag"]
    async with browser.get(installation.url("/widget.js"), headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304


async def test_the_try_it_page_runs_nothing_but_our_own_scripts(
    installation: Installation, browser: aiohttp.ClientSession
) -> None:
    async with browser.get(installation.url("/")) as answer:
        policy = answer.headers["Content-Security-Policy"]
        page = await answer.text()
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<style" not in page
    assert " style=" not in page
