"""Puts what one person writes onto the bus: checked, once, in its order, and into the history they see."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from msgspec.structs import replace

from connectors._shared.live.desk import LiveDesk
from connectors._shared.live.frames import Ack, Entry, Problem, Receipt, Say, StoredFrame, UnknownFrame
from connectors._shared.live.history import time_of
from connectors._shared.live.shown import person_entry
from omnibus import clock
from omnibus.bus.port import Out
from omnibus.errors import Overloaded, PublishRejected, PublishUnknown, TryAgain
from omnibus.model.raw import RawEvent

UNAVAILABLE_MS = 2_000

log = structlog.get_logger("omnibus.live")

Also = Callable[[StoredFrame], tuple[Out, ...]]


class Intake:
    """`raw_of` makes the raw event of a frame's bytes; `also` gives further records to be stored with a frame."""

    def __init__(
        self,
        desk: LiveDesk,
        thread: str,
        remote: str,
        raw_of: Callable[[bytes], RawEvent],
        also: Also = lambda _frame: (),
    ) -> None:
        self._desk = desk
        self._thread = thread
        self._remote = remote
        self._raw_of = raw_of
        self._also = also

    async def take(self, frame: StoredFrame, data: bytes) -> Ack | Problem | None:
        """The answer to a frame; None for a receipt that is stored. A frame that comes again is the same one.

        With the problem `unavailable` the frame was good, and the bus did not take it.
        """
        known = None if isinstance(frame, Receipt) else self._desk.acknowledged(self._thread, frame.id)
        if known is not None:
            return known
        if (problem := self._problem_with(frame)) is not None:
            return problem
        entry = self._entry_of(frame)
        if (fault := await self._publish(frame, data, entry)) is not None:
            return about(fault, frame)
        if isinstance(frame, Receipt):
            return None
        ack = Ack(id=frame.id, key=None if entry is None else entry.key)
        self._desk.remember(self._thread, ack)
        return ack

    def _problem_with(self, frame: StoredFrame) -> Problem | None:
        """Why a frame cannot be stored: how much they write first, then what."""
        if wait := self._wait():
            return about(Problem(code="rate_limited", detail="too many messages", after_ms=wait), frame)
        if not isinstance(frame, Say):
            return None
        if len(frame.text) > self._desk.bounds.max_text_chars:
            return Problem(code="too_long", detail="the text is too long", id=frame.id)
        if not frame.text.strip() and not frame.files:
            return Problem(code="invalid", detail="expected words or files", id=frame.id)
        if not all(self._desk.links.is_ticket(self._thread, file) for file in frame.files):
            return Problem(code="file_refused", detail="not a file of this chat", id=frame.id)
        return None

    def _wait(self) -> int:
        now_ms = clock.now_ms()
        return self._desk.messages.take(self._thread, now_ms) or self._desk.messages_by_address.take(
            self._remote, now_ms
        )

    def _entry_of(self, frame: StoredFrame) -> Entry | None:
        """The history entry of a frame. One that another process has stored keeps its place in the history."""
        if isinstance(frame, (Receipt, UnknownFrame)):
            return None
        known = self._desk.history.find(self._thread, frame.id)
        at_ms = self._desk.next_ms(self._thread) if known is None else time_of(known.key)
        return person_entry(frame, at_ms, self._desk.author)

    async def _publish(self, frame: StoredFrame, data: bytes, entry: Entry | None) -> Problem | None:
        """Durable when it returns None."""
        shown = () if entry is None else (self._desk.history_out(self._thread, entry),)
        try:
            await self._desk.tools.publish([self._raw_of(data)], (*shown, *self._also(frame)))
        except Overloaded as error:
            return Problem(code="unavailable", detail="busy", after_ms=int(error.after.total_seconds() * 1000))
        except (PublishRejected, PublishUnknown, TryAgain) as error:
            log.warning("live.not_stored", account=self._desk.account, error=type(error).__name__)
            return Problem(code="unavailable", detail="not stored", after_ms=UNAVAILABLE_MS)
        return None


def about(problem: Problem, frame: StoredFrame) -> Problem:
    """The problem with the id of the frame it is about, so that the client knows what to send again."""
    return problem if isinstance(frame, Receipt) else replace(problem, id=frame.id)
