"""Of a message in several pieces each leaves once, however often sending breaks off."""

from __future__ import annotations

import pytest

from connectors._shared.progress import REMEMBERED, Progress
from omnibus.errors import TryAgain


class Line:
    """Takes pieces, and breaks before the n-th."""

    def __init__(self, breaks_at: int) -> None:
        self.taken: list[str] = []
        self._breaks_at = breaks_at

    async def send(self, piece: str) -> str:
        if len(self.taken) == self._breaks_at:
            self._breaks_at = -1
            raise TryAgain("the line broke")
        self.taken.append(piece)
        return f"id-of-{piece}"


async def test_only_what_is_missing_is_sent_again() -> None:
    line, sending = Line(breaks_at=2), Progress()
    with pytest.raises(TryAgain):
        await sending.send("msg_1", ["a", "b", "c"], line.send)
    assert await sending.send("msg_1", ["a", "b", "c"], line.send) == ("id-of-a", "id-of-b", "id-of-c")
    assert line.taken == ["a", "b", "c"]


async def test_a_message_that_was_finished_is_forgotten() -> None:
    line, sending = Line(breaks_at=-1), Progress()
    await sending.send("msg_1", ["a"], line.send)
    await sending.send("msg_1", ["a"], line.send)
    assert line.taken == ["a", "a"]


async def test_the_oldest_is_forgotten_first() -> None:
    sending = Progress()
    for number in range(REMEMBERED + 1):
        with pytest.raises(TryAgain):
            await sending.send(f"msg_{number}", ["a", "b"], Line(breaks_at=1).send)
    again = Line(breaks_at=-1)
    await sending.send("msg_0", ["a", "b"], again.send)
    await sending.send("msg_1000", ["a", "b"], again.send)
    assert again.taken == ["a", "b", "b"]


async def test_a_piece_may_have_several_ids() -> None:
    progress, tries = Progress(), []

    async def send(piece: str) -> tuple[str, ...]:
        tries.append(piece)
        if tries == ["a", "b"]:
            raise TryAgain("down")
        return (piece.upper(), piece.upper() * 2)

    with pytest.raises(TryAgain):
        await progress.send("msg_1", "abc", send)
    assert await progress.send("msg_1", "abc", send) == ("A", "AA", "B", "BB", "C", "CC")
    assert tries == ["a", "b", "b", "c"]
    await progress.send("msg_1", "a", send)
    assert tries[-1] == "a", "what was sent whole is forgotten: sending it again is what somebody wants"


async def test_a_piece_may_depend_on_those_before() -> None:
    """A row of posts, of which each answers the one before: what was sent is known when sending begins again."""
    progress = Progress()

    def break_off() -> None:
        with progress.of("msg_1") as done:
            done.append(("1",))
            raise TryAgain("down")

    with pytest.raises(TryAgain):
        break_off()
    with progress.of("msg_1") as done:
        assert done == [("1",)]
    with progress.of("msg_1") as done:
        assert done == []
