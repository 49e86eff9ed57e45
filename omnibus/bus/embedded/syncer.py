"""Makes commits durable beside the writer: while the disk syncs, the next commits go on.

In WAL mode the only thing ``synchronous=FULL`` adds to ``NORMAL`` is a sync of the write-ahead log after each commit
(https://www.sqlite.org/pragma.html#pragma_synchronous). Done here, on a thread of its own, one sync serves every commit
that came before it, and a stage's step never waits for the disk behind a publisher's.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path

_sync = getattr(os, "fdatasync", os.fsync)  # what SQLite itself uses; not there on macOS
Told = Callable[[OSError | None], None]
"""Called on the syncer's thread: None when everything committed before is on the disk."""


class Syncer:
    """One thread with the write-ahead log open. SQLite's locks are on other files: closing this handle frees none."""

    def __init__(self, database: Path) -> None:
        self._handle = os.open(database.with_name(f"{database.name}-wal"), os.O_RDWR)
        self._queue: queue.SimpleQueue[Told | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="omnibus-bus-syncer", daemon=True)

    def start(self) -> None:
        """Begin; before that, calls wait."""
        self._thread.start()

    def after_next(self, tell: Told) -> None:
        """Call `tell` after a sync that begins from now on."""
        self._queue.put(tell)

    def close(self) -> None:
        """Sync for everybody who waits, and end."""
        self._queue.put(None)
        self._thread.join()
        os.close(self._handle)

    def _run(self) -> None:
        ended = False
        while not ended:
            waiting = [self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            ended = None in waiting
            tells = [tell for tell in waiting if tell is not None]
            if tells:
                error = self._sync()
                for tell in tells:
                    tell(error)

    def _sync(self) -> OSError | None:
        try:
            _sync(self._handle)
        except OSError as error:
            return error
        return None
