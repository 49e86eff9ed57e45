"""What the router's partitions tell each other: how full queues are, which are paused, where a contact was last.

Each partition counts its own conversations in its state, exactly, and writes the counts to the table
`omnibus.routing` at most every PUBLISH_MS; the others read them there. A decision thus sees the conversations of its
own partition as they are, those of the others as they were up to PUBLISH_MS + KEPT_MS and the table's own lag before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from omnibus.bus.port import Out
from omnibus.bus.topics import Topics
from omnibus.model.entities import Conversation
from omnibus.stage.contract import Ctx, Timer

LOAD = "load"
"""The store of a partition's own counts, and the kind of the timer that publishes them."""
PUBLISH_MS = 100
KEPT_MS = 100
"""For how long a partition keeps the others' counts before it reads them again."""

_OWN = b"counts"
_LOADS = b"load/"
_PAUSES = b"pause/"
_CONTACTS = b"contact/"
_SURVEYS = b"survey/"
_JSON = (("content-type", b"application/json"),)
SETTLED = ("resolved", "closed")

_encode = msgspec.json.Encoder().encode
_counts = msgspec.json.Decoder(dict[str, int]).decode


EXPIRE = "expire"
"""The kind of the timers after which what is known of a contact is forgotten."""


class LastPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a contact's last conversation was: its queue, the agent downstream named, and when."""

    queue: str
    at_ms: int
    agent: str | None = None

    @property
    def written_ms(self) -> int:
        """Tells a newer entry of the contact from an older one."""
        return self.at_ms


class LastSurvey(msgspec.Struct, frozen=True, kw_only=True):
    """The last survey a contact was sent, so that a late answer finds it."""

    id: str
    automation: str
    conversation_id: str
    sent_ms: int
    agent: str | None = None
    answered: bool = False

    @property
    def written_ms(self) -> int:
        """Tells a newer entry of the contact from an older one."""
        return self.sent_ms


_last_place = msgspec.json.Decoder(LastPlace).decode
_last_survey = msgspec.json.Decoder(LastSurvey).decode
_written_ms = msgspec.json.Decoder(int).decode


class Others:
    """What a task remembers of the other partitions' counts and of pauses for KEPT_MS. Lives as long as the task."""

    def __init__(self) -> None:
        self.read_ms = -KEPT_MS
        self.counts: Mapping[str, int] = {}
        self.paused: frozenset[str] = frozenset()


class Board:
    """The board, in one step. Reads of the table happen only when a decision needs them."""

    def __init__(self, ctx: Ctx, topics: Topics, others: Others) -> None:
        self._ctx = ctx
        self._topic = topics.routing
        self._others = others

    def load(self, queue: str) -> int:
        """Open conversations in a queue, over all partitions."""
        return self.loads().get(queue, 0)

    def loads(self) -> Mapping[str, int]:
        """Open conversations by queue, over all partitions."""
        self._look()
        total = dict(self._others.counts)
        for queue, count in self._own().items():
            total[queue] = total.get(queue, 0) + count
        return total

    def paused(self) -> frozenset[str]:
        """The queues that an operator has paused."""
        self._look()
        return self._others.paused

    def last_place(self, contact: str) -> LastPlace | None:
        """Where the contact's last conversation was."""
        value = self._ctx.table(self._topic).get(_CONTACTS + contact.encode())
        return None if value is None else _last_place(value)

    def last_survey(self, contact: str) -> LastSurvey | None:
        """The survey the contact was sent last."""
        value = self._ctx.table(self._topic).get(_SURVEYS + contact.encode())
        return None if value is None else _last_survey(value)

    def tell_place(self, contact: str, place: LastPlace, kept_ms: int) -> None:
        """Let every partition know where the contact was, for so long."""
        self._tell_for(_CONTACTS + contact.encode(), place, place.at_ms + kept_ms)

    def tell_survey(self, contact: str, survey: LastSurvey, kept_ms: int) -> None:
        """Let every partition know what the contact was asked, for so long."""
        self._tell_for(_SURVEYS + contact.encode(), survey, survey.sent_ms + kept_ms)

    def _tell_for(self, key: bytes, value: LastPlace | LastSurvey, until_ms: int) -> None:
        self._tell(key, value)
        self._ctx.timer_set(EXPIRE, key, until_ms, _encode(value.written_ms))

    def expire(self, timer: Timer) -> None:
        """Forget an entry that this partition has written, unless another one has written it since."""
        value = self._ctx.table(self._topic).get(timer.key)
        written_ms = _written_ms(timer.payload)
        if value is not None and _entry_of(timer.key, value).written_ms <= written_ms:
            self._ctx.emit(Out(self._topic, timer.key, None, (), None, self._ctx.now_ms))

    def count(self, before: Conversation, after: Conversation) -> None:
        """Keep the counts when a conversation came into a queue, left it, or was settled."""
        left, came = counted_in(before), counted_in(after)
        if left == came:
            return
        counts = self._own()
        for queue, change in ((left, -1), (came, 1)):
            if queue is not None:
                counts[queue] = max(0, counts.get(queue, 0) + change)
        self._ctx.store(LOAD).put(_OWN, _encode({queue: count for queue, count in counts.items() if count}))
        if self._ctx.timer_due(LOAD, _OWN) is None:
            self._ctx.timer_set(LOAD, _OWN, self._ctx.now_ms + PUBLISH_MS)

    def publish(self) -> None:
        """Tell the others this partition's counts."""
        self._tell(_LOADS + str(self._ctx.task.partition).encode(), self._own())

    def _own(self) -> dict[str, int]:
        value = self._ctx.store(LOAD).get(_OWN)
        return {} if value is None else _counts(value)

    def _look(self) -> None:
        others, now = self._others, self._ctx.now_ms
        if abs(now - others.read_ms) < KEPT_MS:
            return
        table, own = self._ctx.table(self._topic), _LOADS + str(self._ctx.task.partition).encode()
        total: dict[str, int] = {}
        for key, value in table.scan(_LOADS, 10_000):
            for queue, count in _counts(value).items() if key != own else ():
                total[queue] = total.get(queue, 0) + count
        others.counts = total
        others.paused = frozenset(
            key.removeprefix(_PAUSES).decode() for key, value in table.scan(_PAUSES, 10_000) if value == b"true"
        )
        others.read_ms = now

    def _tell(self, key: bytes, value: Any) -> None:
        self._ctx.emit(Out(self._topic, key, _encode(value), _JSON, None, self._ctx.now_ms))


def counted_in(conversation: Conversation) -> str | None:
    """The queue in which a conversation counts: where somebody has to do with it."""
    return None if conversation.status in SETTLED else conversation.queue


def _entry_of(key: bytes, value: bytes) -> LastPlace | LastSurvey:
    return _last_place(value) if key.startswith(_CONTACTS) else _last_survey(value)


def pause_record(topics: Topics, queue: str, *, paused: bool) -> Out:
    """The record with which an operator pauses a queue, or opens it again."""
    return Out(topics.routing, _PAUSES + queue.encode(), b"true" if paused else b"false", _JSON)
