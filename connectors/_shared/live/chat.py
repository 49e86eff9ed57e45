"""What a chat does with each frame: welcome, store and acknowledge, page through the history."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from aiohttp import WSCloseCode

from connectors._shared.live.desk import LiveDesk
from connectors._shared.live.frames import (
    Choice,
    Entry,
    Frame,
    HistoryPage,
    OlderHistory,
    PersonTyping,
    Ping,
    Place,
    Pong,
    Postback,
    Problem,
    Push,
    Receipt,
    Say,
    StoredFrame,
    UnknownFrame,
)
from connectors._shared.live.history import PAGE
from connectors._shared.live.hub import Listener
from connectors._shared.live.intake import Intake
from connectors._shared.live.limits import Allowance
from connectors._shared.live.shown import with_links
from omnibus import clock
from omnibus.errors import InvalidPayload, TryAgain

FRAMES_PER_MINUTE = 600
FRAMES_AT_ONCE = 100
REFUSALS = 20
"""So many frames refused in a row, and the chat is closed: whoever is there does not listen."""
NO_HELLO = 4408
TOO_MANY = 4429
IDENTITY_REFUSED = 4401


class LiveChat(ABC):
    """One client's conversation with us. `handle` gets its frames one after another; a channel says what its frames
    are (`read`) and how it welcomes (`greet`, which ends with `enter`)."""

    def __init__(self, desk: LiveDesk, line: Listener, remote: str) -> None:
        self.live = desk
        self.line = line
        self.remote = remote
        self.thread: str | None = None
        """Whose chat it is, once they have said hello."""
        self.intake: Intake | None = None
        self._refusals = 0
        self._frames = Allowance(FRAMES_PER_MINUTE, FRAMES_AT_ONCE)

    @abstractmethod
    def read(self, data: bytes) -> Frame | UnknownFrame:
        """The frame, typed. Raises InvalidPayload with the path that failed."""

    @abstractmethod
    def greet(self, hello: Frame) -> None:
        """Somebody says hello (any frame of the channel's own), for the first time or again."""

    async def handle(self, data: bytes) -> None:
        """Whatever is wrong with a frame is said to the client; only a bug ends the chat."""
        if wait := self._frames.take("", clock.now_ms()):
            self.refuse(Problem(code="rate_limited", detail="too many frames", after_ms=wait))
            return
        try:
            frame = self.read(data)
        except InvalidPayload as error:
            self.refuse(Problem(code="invalid", detail=error.path))
            return
        try:
            await self._answer(frame, data)
        except TryAgain as error:
            self.hang_up(Problem(code="unavailable", detail=str(error)), WSCloseCode.TRY_AGAIN_LATER)

    def send(self, frame: Frame) -> None:
        """Towards the client, files with addresses that it can open."""
        if isinstance(frame, Push):
            frame = Push(entry=self.linked([frame.entry])[0])
        self.line.send(frame)

    def stop(self, code: int, reason: str) -> None:
        """Close the chat from our side."""
        self.line.stop(code, reason)

    def give_up_on_hello(self) -> None:
        """Somebody who never says who they are holds a connection for nothing."""
        if self.thread is None:
            self.hang_up(Problem(code="hello_first", detail="say hello first"), NO_HELLO)

    def enter(self, thread: str, intake: Intake) -> bool:
        """From now on this chat is `thread`'s. False, and hung up, when they have too many open."""
        if not self.live.open_by_thread.enter(thread):
            self.hang_up(Problem(code="rate_limited", detail="too many open chats", after_ms=60_000), TOO_MANY)
            return False
        self.thread, self.intake = thread, intake
        self.live.hub.join(thread, self)
        return True

    def leave(self) -> None:
        """The client is gone."""
        if self.thread is not None:
            self.live.hub.leave(self.thread, self)
            self.live.open_by_thread.leave(self.thread)

    def missed(self, thread: str, after: str | None) -> tuple[tuple[Entry, ...], bool, bool]:
        """The entries somebody needs who last saw `after`; whether there are older ones; whether there may be a gap."""
        entries, gap = self.live.history.missed(thread, after)
        more = gap or (after is None and len(entries) >= PAGE)
        return self.linked(self.live.hub.with_recent(thread, entries)), more, gap

    def linked(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """The entries as the client gets them."""
        now_ms = clock.now_ms()
        return tuple(with_links(entry, self.live.links, now_ms) for entry in entries)

    def refuse(self, problem: Problem) -> None:
        """Say why a frame was not taken; after too many of them, hang up."""
        self._refusals += 1
        self.live.rejected(problem.code)
        if self._refusals < REFUSALS:
            self.send(problem)
        else:
            self.hang_up(problem, WSCloseCode.POLICY_VIOLATION)

    def hang_up(self, problem: Problem, code: int) -> None:
        """Say why, and close."""
        self.send(problem)
        self.stop(code, problem.code)

    async def _answer(self, frame: Frame | UnknownFrame, data: bytes) -> None:
        match frame:
            case Ping():
                self.send(Pong())
            case Say() | Choice() | Postback() | Place() | Receipt() | UnknownFrame():
                await self._store(frame, data)
            case OlderHistory() | PersonTyping() if self.thread is None:
                self._hello_first()
            case OlderHistory():
                self._page(frame, self.thread or "")
            case PersonTyping():
                pass  # our side has nobody to show it to, and typing is never stored
            case _:
                self.greet(frame)

    async def _store(self, frame: StoredFrame, data: bytes) -> None:
        if self.intake is None:
            self._hello_first()
            return
        answer = await self.intake.take(frame, data)
        if isinstance(answer, Problem) and answer.code != "unavailable":
            self.refuse(answer)
            return
        self._refusals = 0
        if answer is not None:
            self.send(answer)

    def _page(self, page: OlderHistory, thread: str) -> None:
        entries, more = self.live.history.before(thread, page.before, page.limit)
        self.send(HistoryPage(entries=self.linked(entries), more=more))

    def _hello_first(self) -> None:
        self.refuse(Problem(code="hello_first", detail="say hello first"))


def said_already() -> Problem:
    """The answer to a second hello."""
    return Problem(code="invalid", detail="hello was said already")


def identity_refused(why: str) -> Problem:
    """The answer to a hello of somebody who is not who they say."""
    return Problem(code="identity_refused", detail=why)
