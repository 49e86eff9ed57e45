"""The committed state of one task: the file, with the entries used last kept in memory."""

from __future__ import annotations

from collections.abc import Sequence

from omnibus.bus.embedded.reader import Reader

_ENTRY_BYTES = 150
"""What an entry costs besides its key and value, roughly."""


class TaskState:
    """The `Backing` of one task. Valid only while the task's lease is held; thrown away with the task."""

    def __init__(self, reader: Reader, task: int, max_bytes: int) -> None:
        self._reader = reader
        self._task = task
        self._max_bytes = max_bytes
        self._cache: dict[bytes, bytes | None] = {}
        self._bytes = 0

    def get(self, key: bytes) -> bytes | None:
        if key in self._cache:
            value = self._cache[key] = self._cache.pop(key)  # to the end: used last
            return value
        value = self._reader.state_get(self._task, key)
        self._remember(key, value)
        return value

    def read_ahead(self, keys: Sequence[bytes]) -> None:
        """Read these together: a tenth of what they would cost one by one."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self._cache]
        found = dict(self._reader.state_of(self._task, wanted))
        for key in wanted:
            self._remember(key, found.get(key))

    def scan(self, start: bytes, end: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        return self._reader.state_scan(self._task, start, end, limit)

    def committed(self, delta: dict[bytes, bytes | None]) -> None:
        """These changes are in the file now."""
        for key, value in delta.items():
            if key in self._cache:
                self._bytes -= _size(key, self._cache.pop(key))
            self._remember(key, value)

    def _remember(self, key: bytes, value: bytes | None) -> None:
        self._cache[key] = value
        self._bytes += _size(key, value)
        while self._bytes > self._max_bytes:
            oldest = next(iter(self._cache))
            self._bytes -= _size(oldest, self._cache.pop(oldest))


def _size(key: bytes, value: bytes | None) -> int:
    return _ENTRY_BYTES + len(key) + (0 if value is None else len(value))
