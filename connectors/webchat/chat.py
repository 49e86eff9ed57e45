"""What a chat does with each frame: welcome, store and acknowledge, page through the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from aiohttp import WSCloseCode

from connectors.webchat.desk import Desk
from connectors.webchat.envelope import raw_event
from connectors.webchat.history import PAGE, time_of
from connectors.webchat.hub import Listener
from connectors.webchat.identity import IdentityRefused, Visitor, new_visitor, verified
from connectors.webchat.limits import Allowance
from connectors.webchat.protocol import (
    Ack,
    Choice,
    ClientFrame,
    Entry,
    Hello,
    HistoryPage,
    OlderHistory,
    Ping,
    Pong,
    Postback,
    Problem,
    Push,
    Receipt,
    Say,
    ServerFrame,
    StoredFrame,
    UnknownFrame,
    VisitorTyping,
    Welcome,
    read_frame,
)
from connectors.webchat.shown import visitor_entry, with_links
from omnibus import clock
from omnibus.errors import InvalidPayload, Overloaded, PublishRejected, PublishUnknown, TryAgain

FRAMES_PER_MINUTE = 600
FRAMES_AT_ONCE = 100
REFUSALS = 20
"""So many frames refused in a row, and the chat is closed: whoever is there does not listen."""
UNAVAILABLE_MS = 2_000
NO_HELLO = 4408
TOO_MANY = 4429
IDENTITY_REFUSED = 4401

log = structlog.get_logger("omnibus.webchat")


@dataclass(kw_only=True, eq=False)
class Chat:
    """One widget's conversation with us. `handle` gets its frames one after another."""

    desk: Desk
    line: Listener
    remote: str
    browser: str = field(default_factory=new_visitor)
    """The visitor of the browser's cookie, or somebody new."""
    visitor: Visitor | None = None
    hello: Hello = field(default_factory=Hello)
    refusals: int = 0
    last_ms: int = 0
    frames: Allowance = field(default_factory=lambda: Allowance(FRAMES_PER_MINUTE, FRAMES_AT_ONCE))

    async def handle(self, data: bytes) -> None:
        """Whatever is wrong with a frame is said to the widget; only a bug ends the chat."""
        if wait := self.frames.take("", clock.now_ms()):
            self._refuse(Problem(code="rate_limited", detail="too many frames", after_ms=wait))
            return
        try:
            frame = read_frame(data)
        except InvalidPayload as error:
            self._refuse(Problem(code="invalid", detail=error.path))
            return
        try:
            await self._answer(frame, data)
        except TryAgain as error:
            self._hang_up(Problem(code="unavailable", detail=str(error)), WSCloseCode.TRY_AGAIN_LATER)

    def send(self, frame: ServerFrame) -> None:
        """Towards the widget, files with addresses that it can open."""
        if isinstance(frame, Push):
            frame = Push(entry=self._linked([frame.entry])[0])
        self.line.send(frame)

    def stop(self, code: int, reason: str) -> None:
        """Close the chat from our side."""
        self.line.stop(code, reason)

    def give_up_on_hello(self) -> None:
        """Somebody who never says who they are holds a connection for nothing."""
        if self.visitor is None:
            self._hang_up(Problem(code="hello_first", detail="say hello first"), NO_HELLO)

    def leave(self) -> None:
        """The widget is gone."""
        if self.visitor is not None:
            self.desk.hub.leave(self.visitor.thread, self)
            self.desk.open_by_thread.leave(self.visitor.thread)

    async def _answer(self, frame: ClientFrame | UnknownFrame, data: bytes) -> None:
        match frame:
            case Hello():
                self._welcome(frame)
            case Ping():
                self.send(Pong())
            case _ if self.visitor is None:
                self._refuse(Problem(code="hello_first", detail="say hello first"))
            case OlderHistory():
                self._page(frame, self.visitor)
            case VisitorTyping():
                pass  # our side has nobody to show it to, and typing is never stored
            case Say() | Choice() | Postback() | Receipt() | UnknownFrame():
                await self._store(frame, data, self.visitor)

    # --- hello ------------------------------------------------------------------------------------

    def _welcome(self, hello: Hello) -> None:
        """Who they are and what they missed. Joining, reading and answering in one go lets no entry slip between."""
        if self.visitor is not None:
            self._refuse(Problem(code="invalid", detail="hello was said already"))
            return
        try:
            visitor = self._visitor_of(hello)
        except IdentityRefused as error:
            self._hang_up(Problem(code="identity_refused", detail=str(error)), IDENTITY_REFUSED)
            return
        if not self.desk.open_by_thread.enter(visitor.thread):
            self._hang_up(Problem(code="rate_limited", detail="too many open chats", after_ms=60_000), TOO_MANY)
            return
        self.visitor, self.hello = visitor, hello
        self.desk.hub.join(visitor.thread, self)
        self.send(self._welcome_of(visitor, hello.after))

    def _visitor_of(self, hello: Hello) -> Visitor:
        """A token counts before the cookie: it is what this very embed has kept."""
        known = self.desk.signer.visitor_of(hello.token, clock.now_ms())
        secret = self.desk.settings.identity_secret
        return verified(known or self.browser, hello.user, None if secret is None else secret.reveal())

    def _welcome_of(self, visitor: Visitor, after: str | None) -> Welcome:
        entries, gap = self.desk.history.missed(visitor.thread, after)
        now_ms = clock.now_ms()
        return Welcome(
            token=self.desk.signer.token(visitor.id, now_ms),
            session=self.desk.signer.session(visitor.thread, now_ms),
            entries=self._linked(self.desk.hub.with_recent(visitor.thread, entries)),
            look=self.desk.look(),
            more=gap or (after is None and len(entries) >= PAGE),
            gap=gap,
        )

    def _page(self, page: OlderHistory, visitor: Visitor) -> None:
        entries, more = self.desk.history.before(visitor.thread, page.before, page.limit)
        self.send(HistoryPage(entries=self._linked(entries), more=more))

    def _linked(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        now_ms = clock.now_ms()
        return tuple(with_links(entry, self.desk.signer, now_ms) for entry in entries)

    # --- frames that are stored -------------------------------------------------------------------

    async def _store(self, frame: StoredFrame | UnknownFrame, data: bytes, visitor: Visitor) -> None:
        """Onto the bus, then the acknowledgement; a frame that comes again is the same one."""
        known = None if isinstance(frame, Receipt) else self.desk.acknowledged(visitor.thread, frame.id)
        if known is not None:
            self.send(known)
            return
        if (problem := self._problem_with(frame, visitor)) is not None:
            self._refuse(problem)
            return
        self.refusals = 0
        entry = self._entry_of(frame, visitor.thread)
        if (fault := await self._publish(data, visitor, entry)) is not None:
            self.send(_about(fault, frame))
        elif not isinstance(frame, Receipt):
            ack = Ack(id=frame.id, key=None if entry is None else entry.key)
            self.desk.remember(visitor.thread, ack)
            self.send(ack)

    def _problem_with(self, frame: StoredFrame | UnknownFrame, visitor: Visitor) -> Problem | None:
        """Why a frame cannot be stored: how much they write first, then what."""
        wait = self._wait_of(visitor)
        if wait:
            return _about(Problem(code="rate_limited", detail="too many messages", after_ms=wait), frame)
        if not isinstance(frame, Say):
            return None
        if len(frame.text) > self.desk.settings.max_text_chars:
            return Problem(code="too_long", detail="the text is too long", id=frame.id)
        if not frame.text.strip() and not frame.files:
            return Problem(code="invalid", detail="expected words or files", id=frame.id)
        if not all(self.desk.signer.is_ticket(visitor.thread, file) for file in frame.files):
            return Problem(code="file_refused", detail="not a file of this chat", id=frame.id)
        return None

    def _wait_of(self, visitor: Visitor) -> int:
        now_ms = clock.now_ms()
        return self.desk.messages.take(visitor.thread, now_ms) or self.desk.messages_by_address.take(
            self.remote, now_ms
        )

    def _entry_of(self, frame: StoredFrame | UnknownFrame, thread: str) -> Entry | None:
        """The history entry of a frame. One that another process has stored keeps its place in the history."""
        if isinstance(frame, (Receipt, UnknownFrame)):
            return None
        known = self.desk.history.find(thread, frame.id)
        return visitor_entry(frame, self._next_ms() if known is None else time_of(known.key))

    def _next_ms(self) -> int:
        """The time, later than the last one: what was written in one millisecond must stay in its order, too."""
        self.last_ms = max(clock.now_ms(), self.last_ms + 1)
        return self.last_ms

    async def _publish(self, data: bytes, visitor: Visitor, entry: Entry | None) -> Problem | None:
        """Durable when it returns None."""
        raw = raw_event(
            self.desk.account,
            visitor,
            data,
            clock.now(),
            locale=self.hello.locale,
            page=self.hello.page,
            remote=self.remote or None,
        )
        also = () if entry is None else (self.desk.history_out(visitor.thread, entry),)
        try:
            await self.desk.tools.publish([raw], also)
        except Overloaded as error:
            return Problem(code="unavailable", detail="busy", after_ms=int(error.after.total_seconds() * 1000))
        except (PublishRejected, PublishUnknown, TryAgain) as error:
            log.warning("webchat.not_stored", account=self.desk.account, error=type(error).__name__)
            return Problem(code="unavailable", detail="not stored", after_ms=UNAVAILABLE_MS)
        return None

    # --- refusals ---------------------------------------------------------------------------------

    def _refuse(self, problem: Problem) -> None:
        """Say why a frame was not taken; after too many of them, hang up."""
        self.refusals += 1
        self.desk.rejected(problem.code)
        if self.refusals < REFUSALS:
            self.send(problem)
        else:
            self._hang_up(problem, WSCloseCode.POLICY_VIOLATION)

    def _hang_up(self, problem: Problem, code: int) -> None:
        self.send(problem)
        self.stop(code, problem.code)


def _about(problem: Problem, frame: StoredFrame | UnknownFrame) -> Problem:
    """The problem with the id of the frame it is about, so that the widget knows what to send again."""
    return Problem(
        code=problem.code,
        detail=problem.detail,
        after_ms=problem.after_ms,
        id=None if isinstance(frame, Receipt) else frame.id,
    )
