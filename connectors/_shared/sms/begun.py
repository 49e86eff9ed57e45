"""Messages sent in part: providers of text messages know no idempotency key, so what left is remembered here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

REMEMBERED = 1_000
"""Messages sent in part that are kept in mind; beyond it the oldest would begin again."""

Piece = TypeVar("Piece")


class Begun:
    """Sends pieces in order, and after a failure only those that are missing, as long as this process lives."""

    def __init__(self) -> None:
        self._begun: OrderedDict[str, list[str]] = OrderedDict()

    async def send(
        self, message_id: str, pieces: Sequence[Piece], send: Callable[[Piece], Awaitable[str]]
    ) -> tuple[str, ...]:
        """The native ids of all pieces. What `send` raises for one of them is raised for the message."""
        done = self._begun.pop(message_id, [])
        try:
            for piece in pieces[len(done) :]:
                done.append(await send(piece))
        except BaseException:
            if done:
                self._remember(message_id, done)
            raise
        return tuple(done)

    def _remember(self, message_id: str, done: list[str]) -> None:
        self._begun[message_id] = done
        while len(self._begun) > REMEMBERED:
            self._begun.popitem(last=False)
