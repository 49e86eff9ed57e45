"""What a chat says when the bus does not take a frame: later, and the same frame again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from connectors._shared.live.frames import Ack, Frame, Problem
from connectors._shared.live.history import History
from connectors.webchat.chat import Chat
from connectors.webchat.desk import Desk
from connectors.webchat.identity import Signer
from connectors.webchat.settings import WebchatSettings
from omnibus import clock
from omnibus.blobs import open_blobs
from omnibus.bus.port import Out
from omnibus.bus.topics import Topics
from omnibus.channel.declaration import Account
from omnibus.channel.receive import ReceiverTools
from omnibus.channel.registry import load_channel
from omnibus.config.fields import Secret
from omnibus.errors import Overloaded, PublishRejected, PublishUnknown
from omnibus.model.raw import RawEvent


class NothingYet:
    """An empty table."""

    def get(self, key: bytes) -> bytes | None:
        return None

    def scan(self, prefix: bytes = b"", limit: int = 1_000) -> Sequence[tuple[bytes, bytes]]:
        return []


class FailingOnce:
    """Receiver tools whose first publish fails."""

    def __init__(self, folder: Path, failure: Exception) -> None:
        self.account = Account(
            name="site",
            channel=load_channel("connectors.webchat"),
            settings=WebchatSettings(cookie_secret=Secret("invented-cookie-secret")),
            inactivity=timedelta(days=1),
        )
        self.topics = Topics()
        self.blobs = open_blobs(f"file:{folder}")
        self.published: list[RawEvent] = []
        self._failure: Exception | None = failure

    async def publish(self, raws: Sequence[RawEvent], also: Sequence[Out] = ()) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        self.published.extend(raws)


class Line:
    """What the widget is told."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.closed: int | None = None

    def send(self, frame: Frame) -> None:
        self.frames.append(frame)

    def stop(self, code: int, reason: str) -> None:
        self.closed = self.closed or code


@pytest.mark.parametrize(
    ("failure", "after_ms"),
    [
        (Overloaded("full", after=timedelta(seconds=3)), 3_000),
        (PublishUnknown("half of it"), 2_000),
        (PublishRejected("closing"), 2_000),
    ],
)
async def test_a_frame_the_bus_does_not_take_is_never_acknowledged(
    tmp_path: Path, failure: Exception, after_ms: int
) -> None:
    tools = FailingOnce(tmp_path, failure)
    desk = Desk(cast(ReceiverTools, tools), cast(Any, tools.account.settings), Signer("invented", "site"))
    desk.open(History(NothingYet(), "site", timedelta(days=90)))
    line = Line()
    chat = Chat(desk=desk, line=line, remote="127.0.0.1")
    await chat.handle(b'{"type":"hello"}')
    frame = b'{"type":"message","id":"aaaaaaaaaaaaaaaa","text":"hi"}'
    await chat.handle(frame)
    assert isinstance(problem := line.frames[-1], Problem)
    assert (problem.code, problem.id, problem.after_ms) == ("unavailable", "a" * 16, after_ms)
    assert tools.published == []

    await chat.handle(frame)
    assert isinstance(line.frames[-1], Ack)
    assert len(tools.published) == 1


async def test_what_is_written_in_one_millisecond_stays_in_order(tmp_path: Path) -> None:
    tools = FailingOnce(tmp_path, PublishRejected("closing"))
    desk = Desk(cast(ReceiverTools, tools), cast(Any, tools.account.settings), Signer("invented", "site"))
    desk.open(History(NothingYet(), "site", timedelta(days=90)))
    line = Line()
    chat = Chat(desk=desk, line=line, remote="127.0.0.1")
    with clock.use(clock.ManualClock()):
        await chat.handle(b'{"type":"hello"}')
        for letter in ("z", "c", "b", "a"):
            await chat.handle(f'{{"type":"message","id":"{letter * 16}","text":"hi"}}'.encode())

    keys = [frame.key or "" for frame in line.frames if isinstance(frame, Ack)]
    assert len(keys) == 3
    assert keys == sorted(keys)


async def test_who_never_says_hello_is_hung_up_on(tmp_path: Path) -> None:
    tools = FailingOnce(tmp_path, Overloaded("full"))
    desk = Desk(cast(ReceiverTools, tools), cast(Any, tools.account.settings), Signer("invented", "site"))
    line = Line()
    Chat(desk=desk, line=line, remote="127.0.0.1").give_up_on_hello()
    assert line.closed == 4408


async def test_a_chat_may_send_only_so_many_frames_of_any_kind(tmp_path: Path) -> None:
    tools = FailingOnce(tmp_path, Overloaded("full"))
    desk = Desk(cast(ReceiverTools, tools), cast(Any, tools.account.settings), Signer("invented", "site"))
    line = Line()
    chat = Chat(desk=desk, line=line, remote="127.0.0.1")
    with clock.use(clock.ManualClock()):
        for _ in range(130):
            await chat.handle(b'{"type":"ping"}')
    assert sum(isinstance(frame, Problem) for frame in line.frames) >= 20
    assert line.closed == 1008
