"""Long messages that arrive in pieces: gathered by their number, told once as one message.

The task that owns the thread is the only one that sees its pieces, so it can hold them in its state: nothing is
emitted before the last one is there, or before `Policy.fragments_wait` is over. Then what is there is told; a piece
that comes later still is an edit of that message. In whatever order they come, the same pieces make the same message,
with the native id of the first one.
"""

from __future__ import annotations

import msgspec

from normalizer.messages import derived_native_id, on_edit, on_message
from normalizer.policy import Policy
from normalizer.state import State
from normalizer.work import Work
from omnibus.bus.port import Record
from omnibus.channel.events import Edit, Message
from omnibus.model.content import Text
from omnibus.model.raw import RawEvent

TIMER = "fragments"


class Gathered(msgspec.Struct, kw_only=True):
    """The pieces of one message so far, by number, and the raw event that brought the latest (without its body).

    `told` is the native id under which they were told, None while we wait for the others.
    """

    raw: RawEvent
    topic: str
    partition: int
    offset: int
    headers: tuple[tuple[str, bytes], ...]
    total: int
    pieces: dict[int, Message]
    told: str | None = None

    @property
    def complete(self) -> bool:
        return len(self.pieces) == self.total


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Gathered).decode


def on_arrival(work: Work, mapped: Message) -> bool:
    """A message, or a piece of one. False when it is a copy."""
    return on_message(work, mapped) if mapped.fragment is None else _on_piece(work, mapped)


def on_waited(state: State, key: bytes) -> Gathered | None:
    """What the timer of `key` is about: None when it was told in the meantime."""
    stored = state.fragments.get(key)
    gathered = None if stored is None else _decode(stored)
    return None if gathered is None or gathered.told is not None else gathered


def tell_incomplete(work: Work, key: bytes, gathered: Gathered) -> None:
    """Tell what is there; the rest may still come."""
    _tell(work, gathered)
    gathered.told = _first(gathered).native_id
    work.state.fragments.put(key, _encode(gathered))


def record_of(gathered: Gathered, key: bytes) -> Record:
    """The record that brought the latest piece, without its value."""
    return Record(gathered.topic, gathered.partition, gathered.offset, 0, key, b"", gathered.headers)


def _on_piece(work: Work, mapped: Message) -> bool:
    piece = mapped.fragment
    if piece is None or not isinstance(mapped.content, Text):
        return on_message(work, msgspec.structs.replace(mapped, fragment=None))
    native = mapped.native_id if mapped.native_id is not None else derived_native_id(mapped)
    if not work.state.first_time(work.event_id(native, "message.fragment", piece.number)):
        return False
    mapped = msgspec.structs.replace(mapped, native_id=native)
    key = f"{work.account.name}\0{mapped.thread}\0{piece.key}".encode("utf-8", "surrogatepass")
    stored = work.state.fragments.get(key)
    gathered = None if stored is None else _decode(stored)
    if gathered is not None and (gathered.total != piece.total or piece.number in gathered.pieces):
        # The reference is a small number that begins again: this is another message.
        if gathered.told is None:
            _tell(work, gathered)
        gathered = None
    gathered = _with(work, gathered, mapped, piece.number, piece.total)
    _tell_or_wait(work, key, gathered)
    return True


def _with(work: Work, gathered: Gathered | None, mapped: Message, number: int, total: int) -> Gathered:
    record = work.record
    return Gathered(
        raw=msgspec.structs.replace(work.raw, body=b"", headers=(), query=()),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        headers=tuple((name, value) for name, value in record.headers if name == "traceparent"),
        total=total,
        pieces={number: mapped} if gathered is None else {**gathered.pieces, number: mapped},
        told=None if gathered is None else gathered.told,
    )


def _tell_or_wait(work: Work, key: bytes, gathered: Gathered) -> None:
    if gathered.told is not None:
        _correct(work, gathered, gathered.told)
    elif gathered.complete:
        _tell(work, gathered)
    if gathered.complete:
        work.state.fragments.delete(key)
        work.ctx.timer_cancel(TIMER, key)
        return
    work.state.fragments.put(key, _encode(gathered))
    if gathered.told is None and work.ctx.timer_due(TIMER, key) is None:
        work.ctx.timer_set(TIMER, key, work.ctx.now_ms + _wait_ms(work.policy))


def _wait_ms(policy: Policy) -> int:
    return int(policy.fragments_wait.total_seconds() * 1000)


def _tell(work: Work, gathered: Gathered) -> None:
    on_message(work, msgspec.structs.replace(_first(gathered), content=_words(gathered), fragment=None))


def _correct(work: Work, gathered: Gathered, told: str) -> None:
    latest = _first(gathered)
    on_edit(
        work,
        Edit(
            thread=latest.thread,
            at=latest.at,
            target=told,
            content=_words(gathered),
            revision=len(gathered.pieces),
            sender=latest.sender,
        ),
    )


def _first(gathered: Gathered) -> Message:
    return gathered.pieces[min(gathered.pieces)]


def _words(gathered: Gathered) -> Text:
    contents = (gathered.pieces[number].content for number in sorted(gathered.pieces))
    return Text(text="".join(content.text for content in contents if isinstance(content, Text)))
