"""What every test may rely on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from omnibus.telemetry import logs


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that runs a whole process's set-up leaves no log level or handler to the next."""
    yield
    logs.release()
    structlog.reset_defaults()
