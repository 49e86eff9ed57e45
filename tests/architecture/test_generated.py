"""Generated pages are committed, and are what the code says today."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DIGEST = """
import hashlib, sys
sys.path.insert(0, {root!r})
from docs import generate
print(hashlib.sha256(repr(sorted(generate.generated().items())).encode()).hexdigest())
"""


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_generated_page_is_stale() -> None:
    assert [str(path.relative_to(ROOT)) for path in generator().stale()] == [], "run `make docs` and commit"


def test_pages_do_not_depend_on_chance() -> None:
    """Sets come in another order in every process: two of them must write the same."""

    def digest(seed: str) -> str:
        command = [sys.executable, "-c", DIGEST.format(root=str(ROOT))]
        env = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    assert digest("1") == digest("2")


def test_every_channel_sink_and_automation_has_its_page() -> None:
    pages = {path.relative_to(ROOT / "docs/reference").as_posix() for path in generator().generated()}
    assert pages >= {"channels/telegram.md", "sinks/webhook.md", "automations/webhook.md", "channels/README.md"}
    assert pages >= {"config.md", "cli.md", "metrics.md", "events.md", "errors.md", "asyncapi.json"}
