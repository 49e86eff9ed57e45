"""Checks of a mapping against its fixtures. Each raises AssertionError with what to look at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
from msgspec.structs import replace

from omnibus.channel.declaration import Channel
from omnibus.channel.events import AnyEvent, from_json, to_json
from omnibus.errors import InvalidPayload
from omnibus.model.raw import RawEvent, decode_raw, encode_raw
from omnibus.testing.damage import damaged, hostile
from omnibus.testing.fixtures import UNIFIED, Fixture
from omnibus.testing.readable import difference, shortened

WORK = 3_000_000
"""Lines of Python a mapping may run for one hostile body of a few hundred kilobytes."""


def check_mapping(channel: Channel, fixture: Fixture, *, update: bool = False) -> None:
    """The mapping gives exactly the events of ``<name>.unified.json``; `update` rewrites the file instead."""
    events = mapped(channel, fixture)
    path = fixture.folder / f"{fixture.name}{UNIFIED}"
    if update:
        path.write_bytes(to_json(events) + b"\n")
        return
    if not path.exists():
        raise AssertionError(f"{path} is missing; write it with --update-fixtures and review it")
    wrong = difference(_plain(path.read_bytes()), _plain(to_json(events)), path.name, "what the mapping gives")
    assert not wrong, f"{fixture.name} maps to something else (--update-fixtures rewrites the file):\n{wrong}"


def check_repeatable(channel: Channel, fixture: Fixture) -> None:
    """Mapping twice gives equal events, and ids do not depend on when and as what the request arrived."""
    events = mapped(channel, fixture)
    assert events == mapped(channel, fixture), "mapping the same request again gives other events"
    raw = fixture.raw(channel)
    later = replace(raw, id="raw_another", received_at=raw.received_at + timedelta(days=3))
    assert _ids(channel.map(later)) == _ids(events), "ids depend on when the request arrived"
    assert tuple(channel.threads(later)) == tuple(channel.threads(raw)), "threads depend on when the request arrived"


def check_threads(channel: Channel, fixture: Fixture) -> None:
    """The threads a request is stored under are those of its events, so that splitting loses and doubles none."""
    raw = fixture.raw(channel)
    threads, events = list(channel.threads(raw)), mapped(channel, fixture)
    assert len(threads) == len(set(threads)), f"a thread is named twice: {threads}"
    _assert_same_threads(threads, events)
    for copy in (replace(raw, thread=thread) for thread in threads):
        again = decode_raw(encode_raw(copy))
        assert list(channel.map(again)) == events, f"the copy for thread {copy.thread!r} maps to something else"


def check_emits(channel: Channel, fixtures: Iterable[Fixture]) -> None:
    """`emits` is what the fixtures show: no more, no less."""
    shown = {type(event) for fixture in fixtures for event in mapped(channel, fixture)}
    unshown = sorted(event.__name__ for event in channel.emits - shown)
    unclaimed = sorted(event.__name__ for event in shown - channel.emits)
    assert not unshown, f"emits claims {', '.join(unshown)}, but no fixture shows it"
    assert not unclaimed, f"fixtures show {', '.join(unclaimed)}, which emits does not claim"


def check_damage(channel: Channel, fixture: Fixture) -> None:
    """However a request is damaged, the mapping gives valid events or raises InvalidPayload."""
    for what, raw in damaged(fixture.raw(channel)):
        _assert_safe(channel, raw, what)


def check_hostile(channel: Channel, fixture: Fixture) -> None:
    """Deep and large bodies cost work in proportion to their size."""
    for what, raw in hostile(fixture.raw(channel)):
        lines = _lines_run(lambda raw=raw, what=what: _assert_safe(channel, raw, what))  # type: ignore[misc]  # mypy cannot infer a lambda with bound defaults
        assert lines < WORK, f"with {what}, a body of {len(raw.body)} bytes takes {lines} lines of Python"


def mapped(channel: Channel, fixture: Fixture) -> list[AnyEvent]:
    """The events of a fixture; a fixture must be readable."""
    try:
        return list(channel.map(fixture.raw(channel)))
    except InvalidPayload as error:
        raise AssertionError(f"{fixture.name} cannot be mapped: {error}") from error


def problem_of(channel: Channel, raw: RawEvent) -> str | None:
    """What is wrong with the way a raw event is mapped, None when it gives valid events or InvalidPayload."""
    try:
        events = list(channel.map(raw))
        threads = list(channel.threads(raw))
    except InvalidPayload:
        return None
    except Exception as error:  # the point of the check: any other exception is a finding
        return f"{type(error).__name__}: {error}"
    try:
        valid = from_json(to_json(events)) == events
    except (msgspec.MsgspecError, UnicodeEncodeError, TypeError) as error:
        return f"an event that is not valid: {error}"
    if not valid:
        return f"events that change when they are stored: {shortened(events)}"
    named, found = set(threads), {event.thread for event in events}
    return None if found <= named or not named else f"threads {named} where the events have {found}"


def _assert_safe(channel: Channel, raw: RawEvent, what: str) -> None:
    problem = problem_of(channel, raw)
    assert problem is None, f"with {what}: {problem}\nbody: {shortened(raw.body)}"


def _assert_same_threads(threads: list[str], events: list[AnyEvent]) -> None:
    found = {event.thread for event in events}
    if not threads:
        # One writer for the whole account (mail: the thread is found by links), so no event may name a thread.
        assert found <= {""}, f"threads() names none, the events have {sorted(found)}"
        return
    assert not events or found == set(threads), f"threads() gives {sorted(threads)}, the events have {sorted(found)}"


def _ids(events: Iterable[AnyEvent]) -> list[tuple[Any, ...]]:
    names = ("native_id", "target", "call_id", "links", "names", "in_reply_to")
    return [(type(event), event.thread, *(getattr(event, name, None) for name in names)) for event in events]


def _plain(data: bytes) -> Any:
    return msgspec.json.decode(data)


def _lines_run(work: Callable[[], None]) -> int:
    """How many lines of Python the work runs: a count that is the same on every machine, unlike time."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        if count > WORK:
            raise AssertionError(f"more than {WORK} lines of Python for one body")
        return counted

    before = sys.gettrace()
    sys.settrace(counted)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def unified_files(folder: Path) -> list[str]:
    """The names that have a ``.unified.json``."""
    return sorted(path.name.removesuffix(UNIFIED) for path in folder.glob(f"*{UNIFIED}"))
