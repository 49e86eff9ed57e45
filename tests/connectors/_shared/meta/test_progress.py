"""Of a message in several pieces each leaves once, however often sending breaks off."""

from __future__ import annotations

import pytest

from connectors._shared.meta import progress
from connectors._shared.meta.progress import Progress
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
    for number in range(progress.REMEMBERED + 1):
        with pytest.raises(TryAgain):
            await sending.send(f"msg_{number}", ["a", "b"], Line(breaks_at=1).send)
    again = Line(breaks_at=-1)
    await sending.send("msg_0", ["a", "b"], again.send)
    await sending.send("msg_1000", ["a", "b"], again.send)
    assert again.taken == ["a", "b", "b"]
