"""A message that leaves in several pieces, of which each is sent once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Piece = TypeVar("Piece")

REMEMBERED = 1_000
"""Messages sent in part that are kept in mind; beyond it the oldest would begin again."""


class Progress:
    """What was sent of messages whose sending broke off, for providers that know no idempotency key.

    It lasts as long as this process; a piece whose answer was lost is sent again.
    """

    def __init__(self) -> None:
        self._begun: OrderedDict[str, list[tuple[str, ...]]] = OrderedDict()

    async def send(
        self, message_id: str, pieces: Sequence[Piece], send: Callable[[Piece], Awaitable[str | Sequence[str]]]
    ) -> tuple[str, ...]:
        """Send the pieces that have not been sent yet; the native ids of all. Raises what `send` raises."""
        with self.of(message_id) as done:
            for piece in pieces[len(done) :]:
                ids = await send(piece)
                done.append((ids,) if isinstance(ids, str) else tuple(ids))
        return tuple(native_id for ids in done for native_id in ids)

    @contextmanager
    def of(self, message_id: str) -> Iterator[list[tuple[str, ...]]]:
        """The native ids of each piece that is sent already; what is added is remembered when the block raises."""
        done = self._begun.pop(message_id, [])
        try:
            yield done
        except BaseException:
            if done:
                self._remember(message_id, done)
            raise

    def _remember(self, message_id: str, done: list[tuple[str, ...]]) -> None:
        self._begun[message_id] = done
        while len(self._begun) > REMEMBERED:
            self._begun.popitem(last=False)
