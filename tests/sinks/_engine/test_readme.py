"""The examples that operators copy are configurations that load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from omnibus.config.load import loads
from sinks._engine.registry import discover

ROOT = Path(__file__).parents[3]
SECRET = "whsec_YSBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaA=="


def examples() -> list[tuple[str, str]]:
    blocks = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
    pages = sorted((ROOT / "sinks").glob("*/README.md"))
    return [(page.parent.name, found) for page in pages for found in blocks.findall(page.read_text("utf-8"))]


@pytest.mark.parametrize(("name", "yaml"), examples(), ids=[name for name, _ in examples()])
def test_an_example_loads(name: str, yaml: str) -> None:
    config = loads(
        f"queues: {{general: {{}}}}\n{yaml}",
        env={"CRM_WEBHOOK_SECRET": SECRET, "SMTP_PASSWORD": "a password for tests"},
        settings_of=lambda _section, kind: discover().get(kind).settings,
    )
    assert [sink.type for sink in config.sinks.values()] == [name]
