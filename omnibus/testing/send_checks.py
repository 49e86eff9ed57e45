"""Checks of a sender against a fake provider."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from msgspec.structs import replace

from omnibus.channel.declaration import Channel
from omnibus.config.fields import Secret
from omnibus.errors import InvalidPayload, Misconfigured, OmnibusError, Refused, TryAgain
from omnibus.testing.fixtures import SEND
from omnibus.testing.provider import Call, FakeProvider, ScriptedResponse
from omnibus.testing.readable import difference, shortened
from omnibus.testing.sending import Outcome, SendFixture, described, expected, is_ours, send

ASKED = timedelta(seconds=7)


async def check_exchange(channel: Channel, fixture: SendFixture, folder: Path, *, update: bool = False) -> None:
    """The sender makes exactly the calls of the fixture and ends as it says; `update` writes how it ended."""
    provider = FakeProvider(fixture.file.exchange)
    outcome = await _attempt(channel, fixture, provider, folder)
    assert not provider.problems, "\n".join(provider.problems) + _ending(outcome)
    assert not provider.unused(), f"calls the sender did not make: {provider.unused()}" + _ending(outcome)
    if update:
        _write(fixture, outcome)
        return
    assert fixture.file.result or fixture.file.error, f"{fixture.name}{SEND} needs a result or an error"
    wrong = difference(expected(fixture), described(outcome), "expected outcome", "outcome")
    assert not wrong, wrong + _ending(outcome)


async def check_troubles(channel: Channel, fixture: SendFixture, folder: Path) -> None:
    """A provider that is overloaded, broken, silent or gone means "try again"; one that refuses is final."""
    for what, response, accepted in _troubles():
        provider = FakeProvider(_with_first_answer(fixture.file.exchange, response), checks=False)
        outcome = await _attempt(channel, fixture, provider, folder)
        assert isinstance(outcome.error, accepted), (
            f"when the provider {what}, expected {' or '.join(each.__name__ for each in accepted)}"
        ) + _ending(outcome)
        if response.status == 429:
            assert isinstance(outcome.error, TryAgain)
            after = outcome.error.after
            assert (after or timedelta()) >= ASKED, f"Retry-After: 7 was not kept: {after}"


async def check_nonsense(channel: Channel, fixture: SendFixture, folder: Path) -> None:
    """An answer that makes no sense is "sent" or one of our errors, never another exception."""
    for body in ("", "<html>", "null", "[]", "{}", '{"ok": 1}', "\x00", '"' + "x" * 10_000, "[" * 5_000):
        response = ScriptedResponse(body=body, headers={"Content-Type": "application/json"})
        provider = FakeProvider(_with_first_answer(fixture.file.exchange, response), checks=False)
        outcome = await _attempt(channel, fixture, provider, folder)
        assert outcome.sent is not None or is_ours(outcome.error), f"for the answer {shortened(body)}" + _ending(
            outcome
        )


def check_sends(channel: Channel, fixtures: Iterable[SendFixture]) -> None:
    """Every content kind that `capabilities.sends` names is shown going out."""
    shown = {_kind(fixture) for fixture in fixtures if fixture.file.error is None}
    missing = sorted(channel.capabilities.sends - shown)
    assert not missing, f"capabilities.sends names {', '.join(missing)}, but no {SEND} fixture shows it leave"


@contextmanager
def secrets_guarded(settings: Any) -> Iterator[None]:
    """No secret of the settings is in a log line written inside, nor in an exception that passes."""
    secrets = sorted(secrets_in(settings))
    lines: list[str] = []
    handler = _Noting(lines)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with structlog.testing.capture_logs() as entries:
            yield
        lines.extend(repr(entry) for entry in entries)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    for line in lines:
        assert not _leaks(line, secrets), f"a secret of account.json is in a log line of {len(line)} characters"


def secrets_in(value: Any) -> set[str]:
    """Every secret inside settings."""
    if isinstance(value, Secret):
        return {value.reveal()}
    if isinstance(value, dict):
        return set().union(*(secrets_in(each) for each in value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return set().union(*(secrets_in(each) for each in value))
    fields: Sequence[str] = getattr(value, "__struct_fields__", ())
    return set().union(*(secrets_in(getattr(value, field)) for field in fields))


def assert_no_secret_shown(error: Exception | None, settings: Any) -> None:
    """The error as it would be printed, with all that led to it, shows no secret."""
    if error is not None:
        told = "".join(traceback.format_exception(error)) + repr(error)
        assert not _leaks(told, sorted(secrets_in(settings))), (
            f"a secret of account.json is in a {type(error).__name__}"
        )


async def _attempt(channel: Channel, fixture: SendFixture, provider: FakeProvider, folder: Path) -> Outcome:
    """Send once, and look that no secret is shown."""
    with secrets_guarded(fixture.settings):
        outcome = await send(channel, fixture, provider, folder)
    assert_no_secret_shown(outcome.error, fixture.settings)
    return outcome


class _Noting(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


def _leaks(text: str, secrets: Iterable[str]) -> bool:
    return any(secret in text for secret in secrets if len(secret) >= 4)


def _troubles() -> Iterator[tuple[str, ScriptedResponse, tuple[type[OmnibusError], ...]]]:
    again = (TryAgain,)
    yield "is overloaded", ScriptedResponse(status=429, headers={"Retry-After": "7"}), again
    yield "fails", ScriptedResponse(status=500, body="<html>"), again
    yield "is down", ScriptedResponse(status=503), again
    yield "hangs up", ScriptedResponse(how="dropped"), again
    yield "says nothing", ScriptedResponse(how="silent"), again
    yield "refuses", ScriptedResponse(status=400, body={"error": "bad request"}), (Refused, InvalidPayload)
    yield "knows us no more", ScriptedResponse(status=401), (Refused, Misconfigured)
    yield "forbids it", ScriptedResponse(status=403), (Refused, Misconfigured)


def _with_first_answer(exchange: Sequence[Call], response: ScriptedResponse) -> list[Call]:
    """The script with its first answer replaced; a sender may try the same call a few times by itself."""
    return [replace(exchange[0], response=response)] * 5


def _kind(fixture: SendFixture) -> str:
    content: dict[str, Any] = fixture.file.outbound.get("message", {}).get("content", {"type": "text"})
    return str(content.get("type"))


def _ending(outcome: Outcome) -> str:
    if outcome.error is None:
        return f"\nsent: {outcome.sent}"
    return "\n" + "".join(traceback.format_exception(outcome.error))


def _write(fixture: SendFixture, outcome: Outcome) -> None:
    path = fixture.folder / f"{fixture.name}{SEND}"
    document = json.loads(path.read_bytes())
    document.pop("result", None)
    document.pop("error", None)
    document.update(described(outcome))
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
