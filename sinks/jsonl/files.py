"""Appends events to files: whole lines only, each event once, also after a crash in the middle of a write.

The last line of a file that does not end in a newline was cut short by a crash and never acknowledged: it is cut off
when the file is opened again, and its event comes again. What was written but not acknowledged comes again too: the ids
of the last lines are remembered, and those events are not written twice.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from omnibus import clock
from omnibus.errors import Misconfigured, TryAgain
from sinks._engine.declaration import Receipt, SinkTools
from sinks._engine.envelope import Envelope
from sinks.jsonl.sink import RETRY_LOCKED, SUPPRESSED_LINES, JsonlSettings

_BLOCK = 64 * 1024


class _Line(msgspec.Struct):
    id: str


_line = msgspec.json.Decoder(_Line)


_Call = tuple[Sequence[Envelope], asyncio.Future[None]]
"""Events to write, and the call that waits for them."""


class JsonlSink:
    """One folder of files, written by one process at a time; the disk work happens in a thread.

    Calls that come while a write runs are written together by the next one, with one sync for all of them.
    """

    def __init__(self, tools: SinkTools) -> None:
        self._settings: JsonlSettings = tools.settings
        self._folder: Folder | None = None
        self._waiting: list[_Call] = []
        self._writing: asyncio.Task[None] | None = None

    async def deliver(self, events: Sequence[Envelope]) -> Receipt:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((events, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_what_waits(), name="jsonl: write")
        await written
        return Receipt()

    async def close(self) -> None:
        """A write that runs is finished first: its thread cannot be taken back."""
        if self._writing is not None:
            await self._writing
        if self._folder is not None:
            folder, self._folder = self._folder, None
            await asyncio.to_thread(folder.close)

    async def _write_what_waits(self) -> None:
        try:
            while self._waiting:
                calls, self._waiting = self._waiting, []
                if not await self._written(calls):
                    for call in calls:  # so that only those fail whose events are the reason
                        await self._written([call])
        finally:
            self._writing = None

    async def _written(self, calls: Sequence[_Call]) -> bool:
        """Write the events of some calls and tell them; False, with nobody told, when that failed for several."""
        try:
            await asyncio.to_thread(self._write, [event for events, _ in calls for event in events])
        except Exception as error:
            if len(calls) > 1:
                return False
            if not calls[0][1].done():
                calls[0][1].set_exception(error)  # its `deliver` raises it
            return True
        for _, written in calls:
            if not written.done():  # a call that was cancelled waits no more
                written.set_result(None)
        return True

    def _write(self, events: Sequence[Envelope]) -> None:
        try:
            if self._folder is None:
                self._folder = Folder(self._settings)
            self._folder.append(events)
        except PermissionError as error:
            raise Misconfigured("folder", f"cannot write to {self._settings.folder}: {error.strerror}") from error
        except OSError as error:
            raise TryAgain(f"cannot write to {self._settings.folder}: {error.strerror}") from error


class Folder:
    """The files ``<day>-<number>.jsonl``, the newest of them open. Blocking; raises OSError.

    A process that opens it while another one has it open gets TryAgain: two writers would cut each other's lines.
    """

    def __init__(self, settings: JsonlSettings) -> None:
        self._settings = settings
        self._home = settings.folder
        self._home.mkdir(parents=True, exist_ok=True)
        self._guard = _lock(self._home / ".lock")
        try:
            self._file, self._path = self._open_newest()
            self._seen: OrderedDict[str, None] = OrderedDict.fromkeys(_last_ids(self._files(), SUPPRESSED_LINES))
        except BaseException:
            self._guard.close()
            raise

    def close(self) -> None:
        """Close the file and let others in."""
        self._file.close()
        self._guard.close()

    def append(self, events: Sequence[Envelope]) -> None:
        """Write the events that are not there yet; on the disk on return (with `fsync`).

        When it raises, whole lines may have been written; their events are skipped the next time.
        """
        new = {event.id: event.cloudevent() + b"\n" for event in events if event.id not in self._seen}
        for chunk in _chunks(new, self._settings.max_bytes):
            lines = b"".join(chunk.values())
            self._make_room(len(lines))
            self._append(lines)
            self._remember(chunk)

    def _append(self, lines: bytes) -> None:
        size = self._file.tell()
        try:
            _write_all(self._file, lines)
            if self._settings.fsync:
                os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(size)  # a full disk takes half a line; the next try must begin on a new one
            self._file.seek(size)
            raise

    def _remember(self, written: Mapping[str, bytes]) -> None:
        self._seen.update(dict.fromkeys(written))
        while len(self._seen) > SUPPRESSED_LINES:
            self._seen.popitem(last=False)

    def _make_room(self, size: int) -> None:
        """Begin the next file when the day is over or this one would grow too large."""
        day = max(_today(), self._path.name[: len("2026-01-05")])  # a clock put back must not write into the past
        written = self._file.tell()
        if self._path.name.startswith(day) and (written == 0 or written + size <= self._settings.max_bytes):
            return
        self._file.close()
        self._path = self._next_path(day)
        self._file = self._begin(self._path)
        self._delete_oldest()

    def _open_newest(self) -> tuple[BinaryIO, Path]:
        files = self._files()
        if not files:
            path = self._next_path(_today())
            return self._begin(path), path
        file = _open(files[-1])
        file.truncate(_end_of_last_line(file))
        file.seek(0, os.SEEK_END)
        return file, files[-1]

    def _begin(self, path: Path) -> BinaryIO:
        file = _open(path)
        if self._settings.fsync:
            _sync_folder(self._home)
        return file

    def _next_path(self, day: str) -> Path:
        taken = [_number(path) for path in self._files() if path.name.startswith(day)]
        return self._home / f"{day}-{max(taken, default=0) + 1:06d}.jsonl"

    def _files(self) -> list[Path]:
        """Oldest first."""
        return sorted(path for path in self._home.glob("????-??-??-??????.jsonl"))

    def _delete_oldest(self) -> None:
        if self._settings.keep_files is not None:
            for path in self._files()[: -self._settings.keep_files]:
                path.unlink()


def _today() -> str:
    return f"{clock.now():%Y-%m-%d}"


def _number(path: Path) -> int:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def _open(path: Path) -> BinaryIO:
    """For reading and appending, without a buffer: what was written is with the system, whatever becomes of us."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)


def _lock(path: Path) -> BinaryIO:
    """The folder's lock; the system lets go of it when the process ends, however it ends."""
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise TryAgain(f"another process writes to {path.parent}", after=RETRY_LOCKED) from None
    return file


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(file: BinaryIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]  # a file without a buffer may take less than it is given


def _chunks(lines: Mapping[str, bytes], limit: int) -> Iterator[dict[str, bytes]]:
    """The lines by id, in groups of at most `limit` bytes (or one line, where that is longer)."""
    chunk: dict[str, bytes] = {}
    size = 0
    for event_id, line in lines.items():
        if chunk and size + len(line) > limit:
            yield chunk
            chunk, size = {}, 0
        chunk[event_id] = line
        size += len(line)
    if chunk:
        yield chunk


def _end_of_last_line(file: BinaryIO) -> int:
    """Where the last whole line of the file ends."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _last_ids(files: Sequence[Path], most: int) -> list[str]:
    """The ids of the last lines of these files, oldest first."""
    newest_first: list[str] = []
    for path in reversed(files):
        for line in _lines_backwards(path):
            if len(newest_first) == most:
                return newest_first[::-1]
            if (found := _id_of(line)) is not None:
                newest_first.append(found)
    return newest_first[::-1]


def _id_of(line: bytes) -> str | None:
    try:
        return _line.decode(line).id
    except msgspec.DecodeError:
        return None  # somebody edited the file; a line that is no event suppresses none


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """The lines of a file from the last to the first."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        rest = b""
        while end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            first, *lines = (file.read(end - start) + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
            rest, end = first, start
        if rest:
            yield rest
