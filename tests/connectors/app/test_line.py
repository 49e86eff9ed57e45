"""What somebody with the app may rely on: what they wrote arrives once and in order, and replies reach all devices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from connectors._shared.live.frames import Ack, Problem, Push
from connectors.app.client import AppClient, Outbox
from connectors.app.mapping import map_event
from connectors.app.protocol import Hello, Seen, Welcome
from omnibus import clock
from omnibus.channel.events import Delivery, Message
from omnibus.errors import Refused, TryAgain
from omnibus.http import Http, SocketClosed
from omnibus.model import content as c
from omnibus.testing.ports import free_port

if TYPE_CHECKING:
    from tests.connectors.app.conftest import First, Installation

Made = Callable[..., Any]
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 100


async def messages(installation: Installation) -> list[Message]:
    events = [event for raw in await installation.raws() for event in map_event(raw)]
    return [event for event in events if isinstance(event, Message)]


def texts(found: list[Message]) -> list[str]:
    return [message.content.text for message in found if isinstance(message.content, c.Text)]


# --- who ------------------------------------------------------------------------------------------


async def test_each_account_has_its_own_way_of_vouching(
    installation: Installation, token: Made, signed: Made, key_pair: tuple[str, str]
) -> None:
    await installation.registered()
    rsa = {"token": token("customer-17", key=key_pair[0], algorithm="RS256", aud="omnibus")}
    by_key = await installation.registered(account="rsa", proof=rsa)
    by_signature = await installation.registered(account="signed", proof={"user": signed("customer-17")})
    for phone in (by_key, by_signature):
        phone.write("hello")
        await phone.flush()

    assert {(raw.account, raw.verified) for raw in await installation.raws()} == {("rsa", "jwt"), ("signed", "hmac")}


async def test_a_session_of_one_account_is_nothing_to_another(installation: Installation, signed: Made) -> None:
    phone = await installation.registered(account="signed", proof={"user": signed("customer-17")})
    assert phone.registered is not None
    headers = {"Authorization": f"Bearer {phone.registered.session}"}
    answer = await installation.http.request("GET", f"{installation.url()}/messages", headers=headers)
    assert answer.status == 401


async def test_a_user_for_whom_nobody_vouches_is_refused(installation: Installation) -> None:
    await installation.registered()
    phone = installation.phone(proof={"token": "e30.e30.e30"})
    with pytest.raises(Refused) as refusal:
        await phone.register()
    assert refusal.value.native_code == "401"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"device_id":"x"}', b'{"device_id":"phone-0001","token":7}', b"[" * 20_000]
)
async def test_a_damaged_registration_is_refused(installation: Installation, body: bytes) -> None:
    await installation.registered()
    answer = await installation.http.request("POST", f"{installation.url()}/devices", body=body)
    assert (answer.status, answer.json()["error"]) == (400, "invalid")


async def test_a_body_beyond_a_megabyte_is_refused(installation: Installation) -> None:
    await installation.registered()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{installation.url()}/devices", data=BytesIO(b"x" * 1_100_000)) as answer,
    ):
        assert answer.status == 413


# --- writing --------------------------------------------------------------------------------------


async def test_what_was_written_offline_arrives_once_and_in_order(installation: Installation) -> None:
    phone = await installation.registered(platform="ios")
    for number in range(12):
        phone.write(f"message {number}")
    assert await phone.flush() == []
    assert len(phone.outbox) == 0

    found = await messages(installation)
    assert texts(found) == [f"message {number}" for number in range(12)]
    assert {(one.sender.value, one.sender.verified, one.attributes["platform"]) for one in found} == {
        ("customer-17", "jwt", "ios")
    }
    assert all("written_at" in one.attributes for one in found)


async def test_an_outbox_survives_the_app_and_a_lost_answer(installation: Installation) -> None:
    """The first answer is lost: the app is started again and sends all of it again; it is still one message each."""
    phone = await installation.registered()
    phone.write("one")
    phone.write("two")
    kept = phone.outbox.saved()
    await phone.flush()
    again = await installation.registered(outbox=Outbox(kept))
    again.write("three")
    await again.flush()

    assert texts(await messages(installation)) == ["one", "two", "three"]
    shown = (await (await installation.registered(device="tablet-001")).sync()).entries
    assert [entry.text for entry in shown] == ["one", "two", "three"]


async def test_a_frame_sent_over_rest_and_over_the_line_is_one_message(installation: Installation) -> None:
    phone = await installation.registered()
    phone.write("hello")
    [waiting] = phone.outbox.first(1)
    await phone.flush()
    async with phone.line() as line:
        assert isinstance(await line.next(), Welcome)
        await line.send(waiting)
        assert isinstance(ack := await line.next(), Ack)

    assert ack.id == waiting.id
    assert len(await installation.raws()) == 1


async def test_behind_a_message_that_must_wait_the_others_wait_too(installation: Installation) -> None:
    """Ten a minute and ten at once: the eleventh must not be overtaken by the twelfth."""
    phone = await installation.registered(account="strict")
    for number in range(14):
        phone.write(f"{number}")
    with pytest.raises(TryAgain) as later:
        await phone.flush()

    assert later.value.after is not None
    assert later.value.after > timedelta(0)
    assert texts(await messages(installation)) == [f"{number}" for number in range(10)]
    assert [getattr(frame, "text", "") for frame in phone.outbox.first(9)] == ["10", "11", "12", "13"]


async def test_a_message_that_can_never_be_taken_does_not_hold_up_the_others(installation: Installation) -> None:
    phone = await installation.registered(account="strict")
    phone.write("before")
    phone.write("x" * 21)
    phone.write("after")
    refused = await phone.flush()

    assert [problem.code for problem in refused] == ["too_long"]
    assert texts(await messages(installation)) == ["before", "after"]


async def test_a_batch_with_frames_that_do_not_belong_there_says_so(installation: Installation) -> None:
    phone = await installation.registered()
    assert phone.registered is not None
    headers = {"Authorization": f"Bearer {phone.registered.session}"}
    body = {"messages": [{"type": "ping"}, {"type": "message", "id": "short"}, 7, {"type": "sketch", "id": "a" * 16}]}
    answer = await installation.http.request("POST", f"{installation.url()}/messages", json=body, headers=headers)
    assert [(one["type"], one.get("code")) for one in answer.json()["results"]] == [
        ("error", "invalid"),
        ("error", "invalid"),
        ("error", "invalid"),
        ("ack", None),
    ]


async def test_a_file_is_brought_and_seen_on_the_other_device(installation: Installation) -> None:
    phone = await installation.registered()
    file = await phone.upload("box.png", "image/png", PNG)
    phone.write("like this", files=[file])
    phone.show(-23.5505, -46.6333, "Front gate")
    await phone.flush()
    tablet = await installation.registered(device="tablet-001")
    picture, place = (await tablet.sync()).entries

    assert await tablet.download(picture.files[0].url or "") == PNG
    assert (place.author, place.text) == ("contact", "Front gate")
    found = [message.content for message in await messages(installation)]
    assert found == [
        c.Image(attachment_id="0", caption="like this"),
        c.Location(lat=-23.5505, lon=-46.6333, name="Front gate"),
    ]


async def test_a_file_of_somebody_else_cannot_be_sent(installation: Installation) -> None:
    ana, eve = await installation.registered(), await installation.registered("customer-18", "phone-0002")
    file = await ana.upload("box.png", "image/png", PNG)
    eve.write(files=[file])
    assert [problem.code for problem in await eve.flush()] == ["file_refused"]


# --- reading --------------------------------------------------------------------------------------


async def test_a_reply_arrives_at_once_on_every_open_device(installation: Installation, first: First) -> None:
    phone, tablet = await installation.registered(), await installation.registered(device="tablet-001")
    async with phone.line() as one, tablet.line() as two:
        assert isinstance(await one.next(), Welcome)
        assert isinstance(await two.next(), Welcome)
        await installation.reply(c.Text(text="Hello!"), "msg_1")
        pushed = [await one.next(), await two.next()]

    assert [push.entry.text for push in pushed if isinstance(push, Push)] == ["Hello!", "Hello!"]


async def test_a_reply_that_came_while_the_app_was_closed_is_there_when_it_is_back(
    installation: Installation, first: First
) -> None:
    phone = await installation.registered()
    phone.write("hi")
    await phone.flush()
    async with phone.line() as line:
        welcome = await line.next()
        assert isinstance(welcome, Welcome)
        phone.last_key = welcome.entries[-1].key
    await installation.reply(c.Text(text="Good morning"), "msg_1")
    await installation.reply(c.Text(text="Are you still there?"), "msg_2")

    found = await first(phone.entries(), 3)
    assert [entry.text for entry in found] == ["hi", "Good morning", "Are you still there?"]


async def test_a_restart_of_the_server_costs_no_entry_and_doubles_none(
    tmp_path: Path, install: Made, settings_of: Made, first: First
) -> None:
    """The app stays open all the while: it comes back by itself, and sends what was written meanwhile."""
    port = free_port()
    async with Http(allow_private=True) as http:
        async with install(tmp_path, port, app=settings_of()) as before:
            await before.registered(device="tablet-001")
            phone = before.phone(http=http, sleep=lambda _seconds: asyncio.sleep(0.01))
            listening = asyncio.create_task(first(phone.entries(), 4))
            phone.write("written before")
            await phone.flush()
            await before.reply(c.Text(text="answered before"), "msg_1")
        phone.write("written meanwhile")
        async with install(tmp_path, port, app=settings_of()) as after:
            await after.reply(c.Text(text="answered after"), "msg_2")
            found = await listening
            assert len(phone.outbox) == 0

    assert sorted(entry.text for entry in found) == [
        "answered after",
        "answered before",
        "written before",
        "written meanwhile",
    ]


async def test_a_button_is_pressed_by_its_name(installation: Installation) -> None:
    phone = await installation.registered()
    options = (c.Option(id="yes", title="Yes"), c.Option(id="no", title="No"))
    await installation.reply(c.Choices(text="Did that help?", options=options), "msg_1")
    [entry] = (await phone.sync()).entries
    phone.choose(entry, "yes")
    await phone.flush()

    [answer] = await messages(installation)
    assert answer.content == c.ChoiceResponse(option_id="yes", title="Yes")
    assert answer.in_reply_to == "msg_1"


async def test_receipts_are_reports_and_tell_the_other_devices_how_far_one_is(installation: Installation) -> None:
    phone, tablet = await installation.registered(), await installation.registered(device="tablet-001")
    await installation.reply(c.Text(text="one"), "msg_1")
    await installation.reply(c.Text(text="two"), "msg_2")
    one, two = (await phone.sync()).entries
    await phone.receipt(["msg_1", "msg_2"], "delivered")
    async with phone.line() as line:
        await line.next()
        await line.receipt("msg_1")
        phone.write("done")
        await line.send(phone.outbox.first(1)[0])
        while not isinstance(await line.next(), Ack):
            pass

    events = [event for raw in await installation.raws() for event in map_event(raw)]
    reports = sorted((event.target, event.status) for event in events if isinstance(event, Delivery))
    assert reports == [("msg_1", "delivered"), ("msg_1", "read"), ("msg_2", "delivered")]
    seen = await _seen(tablet, one.key)
    assert (seen.delivered, seen.read) == (two.key, one.key)


async def _seen(phone: AppClient, read: str) -> Seen:
    """How far they are, once the table has caught up."""
    async with asyncio.timeout(30):
        while True:
            seen = (await phone.sync()).seen
            if seen.read == read:
                return seen
            await asyncio.sleep(0.01)


async def test_older_entries_are_given_in_pages(installation: Installation) -> None:
    phone = await installation.registered()
    for number in range(5):
        phone.write(f"message {number}")
    await phone.flush()
    assert phone.registered is not None
    newest = (await phone.sync()).entries[-1]
    answer = await installation.http.request(
        "GET",
        f"{installation.url()}/messages",
        query={"before": newest.key, "limit": "2"},
        headers={"Authorization": f"Bearer {phone.registered.session}"},
    )
    page = answer.json()
    assert ([entry["text"] for entry in page["entries"]], page["more"]) == (["message 2", "message 3"], True)


@pytest.mark.parametrize("query", [{"before": "x"}, {"after": "x"}, {"before": "1767603600000/a", "limit": "1000"}])
async def test_a_page_that_cannot_be_is_refused(installation: Installation, query: dict[str, str]) -> None:
    phone = await installation.registered()
    assert phone.registered is not None
    headers = {"Authorization": f"Bearer {phone.registered.session}"}
    answer = await installation.http.request("GET", f"{installation.url()}/messages", query=query, headers=headers)
    assert answer.status == 400


async def test_nobody_sees_what_others_wrote(installation: Installation) -> None:
    ana, eve = await installation.registered(), await installation.registered("customer-18", "phone-0002")
    ana.write("private")
    await ana.flush()
    await installation.reply(c.Text(text="for Ana"), "msg_1")
    assert (await eve.sync()).entries == ()


# --- lines ----------------------------------------------------------------------------------------


async def test_a_line_without_a_session_is_closed(installation: Installation) -> None:
    await installation.registered()
    address = installation.url().replace("http", "ws", 1) + "/ws"
    async with installation.http.websocket(address) as socket:
        await socket.send('{"type":"hello","session":"nonsense"}')
        assert b"identity_refused" in _bytes(await socket.receive())
        with pytest.raises(SocketClosed) as closed:
            await socket.receive()
    assert closed.value.close_code == 4401


async def test_a_line_ends_with_its_session(installation: Installation) -> None:
    phone = await installation.registered()
    async with phone.line() as line:
        await line.next()
        with clock.use(_Later()):
            phone.write("too late")
            await line.send(phone.outbox.first(1)[0])
            assert isinstance(problem := await line.next(), Problem)
            with pytest.raises(SocketClosed):
                await line.next()
    assert problem.code == "identity_refused"
    assert await installation.raws() == []


async def test_a_second_hello_is_refused_and_the_line_goes_on(installation: Installation) -> None:
    phone = await installation.registered()
    assert phone.registered is not None
    async with phone.line() as line:
        await line.next()
        await line.send(Hello(session=phone.registered.session))
        assert isinstance(problem := await line.next(), Problem)
        await installation.reply(c.Text(text="still here"), "msg_1")
        assert isinstance(await line.next(), Push)
    assert problem.code == "invalid"


async def test_a_person_has_so_many_lines_open_and_no_more(installation: Installation) -> None:
    phone = await installation.registered(account="strict")
    async with phone.line() as one:
        await one.next()
        async with phone.line() as two:
            assert isinstance(problem := await two.next(), Problem)
            with pytest.raises(SocketClosed) as closed:
                await two.next()
    assert (problem.code, closed.value.close_code) == ("rate_limited", 4429)


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


class _Later:
    """Two days from now."""

    def now_ms(self) -> int:
        return clock.SystemClock().now_ms() + int(timedelta(days=2).total_seconds() * 1000)
