"""What every test may rely on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from omnibus import clock
from omnibus.telemetry import logs, redact

settings.register_profile("omnibus", deadline=None)  # a busy machine takes as long as it takes
settings.load_profile("omnibus")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that runs a whole process's set-up leaves no log level or handler to the next."""
    yield
    logs.release()
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def secrets_of_this_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret called "token" in one test must not mask the word in another's output."""
    monkeypatch.setattr(redact, "_known", dict(redact._known))  # a process remembers its secrets; a test does not


@pytest.fixture
def later() -> Iterator[clock.LaterClock]:
    """The clock of the test, which may let time pass."""
    with clock.use(made := clock.LaterClock()):
        yield made
