"""Content that is made chunk by chunk. By itself, because every command imports what names it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Chunks(Protocol):
    """Content too large to hold beside what it is made from: it is made anew, chunk by chunk, each time it is read.

    `size` is that of all chunks.
    """

    @property
    def size(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...
