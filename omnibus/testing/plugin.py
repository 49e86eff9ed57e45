"""The pytest plugin of the channel contract: ``pytest -p omnibus.testing.plugin --update-fixtures``."""

from __future__ import annotations

from typing import Any


def pytest_addoption(parser: Any) -> None:
    """Adds ``--update-fixtures``."""
    parser.getgroup("omnibus").addoption(
        "--update-fixtures",
        action="store_true",
        default=False,
        help="rewrite what channel fixtures expect; review the difference",
    )
