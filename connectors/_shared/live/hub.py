"""The open chats of this process, by thread; whatever enters a history is pushed to them."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from connectors._shared.live.frames import Entry, Frame, Push
from connectors._shared.live.history import in_order

_REMEMBERED = 1_000


class Listener(Protocol):
    """An open chat. `send` never waits: a listener that cannot keep up closes itself."""

    def send(self, frame: Frame) -> None: ...

    def stop(self, code: int, reason: str) -> None: ...


class Hub:
    """Who listens to which thread."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self._recent: deque[tuple[str, Entry]] = deque(maxlen=_REMEMBERED)

    def join(self, thread: str, listener: Listener) -> None:
        """From now on `listener` gets what enters the history of `thread`."""
        self._listeners.setdefault(thread, set()).add(listener)

    def leave(self, thread: str, listener: Listener) -> None:
        """No more."""
        listeners = self._listeners.get(thread, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(thread, None)

    def entered(self, thread: str, entry: Entry) -> None:
        """An entry came into the history."""
        self._recent.append((thread, entry))
        self.tell(thread, Push(entry=entry))

    def tell(self, thread: str, frame: Frame) -> int:
        """Send a frame to everybody in a thread; how many they were."""
        listeners = tuple(self._listeners.get(thread, ()))
        for listener in listeners:
            listener.send(frame)
        return len(listeners)

    def with_recent(self, thread: str, entries: list[Entry]) -> list[Entry]:
        """`entries` and what was pushed lately: the table may be a moment behind what its followers have seen."""
        newest = entries[0].key if entries else ""
        return in_order([*entries, *(entry for name, entry in self._recent if name == thread and entry.key >= newest)])

    def stop_all(self, code: int, reason: str) -> None:
        """Close every chat; clients come back by themselves and ask for what they missed."""
        for listeners in tuple(self._listeners.values()):
            for listener in tuple(listeners):
                listener.stop(code, reason)
