"""A session with the gateway: begun, kept alive, broken off, and gone on with."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connectors.discord.mapping import map_event
from omnibus.channel.events import Message
from omnibus.errors import Fenced, Misconfigured, TryAgain
from omnibus.http import SocketClosed

if TYPE_CHECKING:
    from tests.connectors.discord.conftest import Desk, FakeDiscord

IDENTIFY, HEARTBEAT, RESUME = 2, 1, 6
CHANNEL = "1300000000000000101"


def written(number: int, author: str = "1300000000000000301") -> dict[str, Any]:
    user = {"id": author, "username": "ana"}
    return {"id": str(1457659891941376000 + number), "channel_id": CHANNEL, "author": user, "content": f"no. {number}"}


async def outcome(task: asyncio.Task[None]) -> BaseException:
    """What ended the receiver."""
    async with asyncio.timeout(30):
        await asyncio.wait([task])
    error = task.exception()
    assert error is not None
    return error


async def test_what_people_write_is_stored_as_it_came(discord: FakeDiscord, desk: Desk) -> None:
    async with desk.listening():
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.tell("MESSAGE_CREATE", written(1))
        (raw,) = await desk.stored(1)
    assert json.loads(raw.body) == discord.events[1]
    assert (raw.transport, raw.verified, raw.thread) == ("socket", "transport", CHANNEL)
    assert raw.attributes == {"session": "session-1", "bot_id": "1300000000000000900"}
    (event,) = map_event(raw)
    assert isinstance(event, Message)
    assert event.native_id == "1457659891941376001"
    assert ("ok", "") in desk.states


async def test_it_asks_for_messages_and_their_words(discord: FakeDiscord, desk: Desk) -> None:
    async with desk.listening():
        await discord.until(lambda: discord.said(IDENTIFY) != [])
    (told,) = discord.said(IDENTIFY)
    assert told["intents"] == 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 15


async def test_messages_of_the_bot_itself_are_known(discord: FakeDiscord, desk: Desk) -> None:
    async with desk.listening():
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.tell("MESSAGE_CREATE", written(1, author="1300000000000000900"))
        (raw,) = await desk.stored(1)
    assert [event.own for event in map_event(raw) if isinstance(event, Message)] == [True]


async def test_a_restart_misses_nothing_and_repeats_nothing(discord: FakeDiscord, desk: Desk) -> None:
    """The place in the session is stored with each event, and closing leaves the session open."""
    async with desk.listening():
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.tell("MESSAGE_CREATE", written(1))
        await desk.stored(1)
    await discord.until(lambda: discord.closed_with == [4000])
    await discord.tell("MESSAGE_CREATE", written(2))
    async with desk.listening():
        await discord.until(lambda: discord.said(RESUME) != [])
        await discord.tell("MESSAGE_CREATE", written(3))
        raws = await desk.stored(3)
    assert discord.said(RESUME) == [{"token": "invented-bot-token", "session_id": "session-1", "seq": 2}]
    assert [json.loads(raw.body)["d"]["content"] for raw in raws] == ["no. 1", "no. 2", "no. 3"]
    assert len(discord.said(IDENTIFY)) == 1


async def test_asked_to_reconnect_it_goes_on_at_once(discord: FakeDiscord, desk: Desk) -> None:
    async with desk.listening() as task:
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.tell("MESSAGE_CREATE", written(1))
        await discord.send({"op": 7, "d": None})
        await discord.until(lambda: discord.said(RESUME) != [])
        await discord.tell("MESSAGE_CREATE", written(2))
        await desk.stored(2)
        assert not task.done()


async def test_a_server_that_only_sends_us_away_is_not_asked_without_end(discord: FakeDiscord, desk: Desk) -> None:
    """Whoever runs the receiver waits longer and longer before the next try."""
    discord.lets_in = False
    async with desk.listening() as task:
        assert isinstance(await outcome(task), TryAgain)


async def test_a_session_that_is_gone_begins_anew(discord: FakeDiscord, desk: Desk) -> None:
    async with desk.listening():
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.tell("MESSAGE_CREATE", written(1))
        await desk.stored(1)
    discord.session = "another"
    async with desk.listening():
        await discord.until(lambda: len(discord.said(IDENTIFY)) == 2)
        await discord.tell("MESSAGE_CREATE", written(2))
        raws = await desk.stored(2)
    assert [raw.attributes["session"] for raw in raws] == ["session-1", "session-2"]
    assert 3.0 in desk.naps  # one to five seconds, by Discord's wish


@pytest.mark.parametrize("code", [4004, 4010, 4011, 4012, 4013, 4014])
async def test_a_mistake_of_ours_pauses_the_account(discord: FakeDiscord, desk: Desk, code: int) -> None:
    async with desk.listening() as task:
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.close(code)
        assert isinstance(await outcome(task), Misconfigured)


@pytest.mark.parametrize(("code", "goes_on"), [(4000, True), (1006, True), (4009, False), (4007, False)])
async def test_a_broken_connection_goes_on_if_it_can(
    discord: FakeDiscord, desk: Desk, code: int, goes_on: bool
) -> None:
    async with desk.listening() as task:
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.tell("MESSAGE_CREATE", written(1))
        await desk.stored(1)
        await discord.close(code if code != 1006 else 4001)
        assert isinstance(await outcome(task), SocketClosed)
    async with desk.listening():
        await discord.until(lambda: len(discord.said(IDENTIFY)) + len(discord.said(RESUME)) == 2)
    assert len(discord.said(RESUME)) == int(goes_on)


async def test_heartbeats_say_how_far_we_are(discord: FakeDiscord, desk: Desk) -> None:
    discord.heartbeat_ms = 30
    async with desk.listening():
        await discord.until(lambda: 1 in discord.said(HEARTBEAT))
        await discord.tell("MESSAGE_CREATE", written(1))
        await discord.until(lambda: 2 in discord.said(HEARTBEAT))


async def test_a_heartbeat_that_is_asked_for_comes_at_once(discord: FakeDiscord, desk: Desk) -> None:
    async with desk.listening():
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.send({"op": 1, "d": None})
        await discord.until(lambda: discord.said(HEARTBEAT) == [1])


async def test_a_server_that_no_longer_answers_is_left(discord: FakeDiscord, desk: Desk) -> None:
    """A connection may be dead without anybody having closed it; the session is kept."""
    async with desk.listening():
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.tell("MESSAGE_CREATE", written(1))
        await desk.stored(1)
    discord.heartbeat_ms, discord.acknowledges = 30, False
    async with desk.listening() as task:
        assert isinstance(await outcome(task), TryAgain)
    assert discord.closed_with == [4000, 4000]
    discord.heartbeat_ms = 600_000
    async with desk.listening():
        await discord.until(lambda: len(discord.said(RESUME)) == 2)


@pytest.mark.parametrize("words", ["hello", "[]", '{"op": "x"}', '{"op": 11}', '{"op": 10, "d": {}}', "[" * 9_000])
async def test_a_server_that_talks_nonsense_is_left(discord: FakeDiscord, desk: Desk, words: str) -> None:
    discord.first_words = [words]
    async with desk.listening() as task:
        assert isinstance(await outcome(task), TryAgain)


async def test_without_sessions_left_it_waits(discord: FakeDiscord, desk: Desk) -> None:
    discord.sessions_left = 0
    async with desk.listening() as task:
        error = await outcome(task)
    assert isinstance(error, TryAgain)
    assert error.after == timedelta(hours=4)


async def test_whoever_uses_a_command_is_answered_at_once(discord: FakeDiscord, desk: Desk) -> None:
    user = {"id": "1300000000000000301", "username": "ana"}
    asked = {"id": "1457659891941376007", "type": 2, "token": "invented", "channel_id": CHANNEL, "user": user}
    async with desk.listening():
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.tell("INTERACTION_CREATE", {**asked, "data": {"name": "help"}})
        await discord.until(lambda: discord.called != [])
        await desk.stored(1)
    ((interaction, answer),) = discord.called
    assert interaction == "1457659891941376007"
    assert answer == {"type": 4, "data": {"content": "Thank you, we have got it.", "flags": 64}}


async def test_of_two_processes_one_gives_way(discord: FakeDiscord, desk: Desk) -> None:
    """Both would store everything; the place in the session belongs to the one that took over last."""
    async with desk.listening() as older:
        await discord.until(lambda: discord.said(IDENTIFY) != [])
        await discord.tell("MESSAGE_CREATE", written(1))
        await desk.stored(1)
        socket = discord._socket
        async with desk.listening():
            await discord.until(lambda: discord.said(RESUME) != [])
            assert socket is not None
            frame = {"op": 0, "t": "MESSAGE_CREATE", "s": 9, "d": written(9)}
            await socket.send_str(json.dumps(frame))
            assert isinstance(await outcome(older), Fenced)
    assert len(await desk.stored(1)) == 1
