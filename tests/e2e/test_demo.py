"""The demo is the whole product at once: what goes in through the real front doors comes out, once."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest


async def demo(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "omnibus.cli.main",
        "demo",
        "--json",
        *arguments,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    found: dict[str, Any] = json.loads(out) if out else {}
    return process.returncode or 0, found, err.decode()


@pytest.mark.timeout(300)
async def test_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path) -> None:
    """120 conversations by HTTP, WebSocket and SMTP, with copies, edits, forgeries and broken requests."""
    code, found, err = await demo(tmp_path, "--count", "120")
    assert found.get("problems") == [], err
    assert code == 0
    assert found["unified"]["got"] == found["unified"]["expected"] > 200
    assert found["replies_sent"]["got"] == found["replies_sent"]["expected"] > 10
    assert found["dead_lettered"]["got"] > 0
    assert found["refused"]["got"] > 0


@pytest.mark.timeout(120)
def test_the_demo_cleans_up_after_itself(tmp_path: Path) -> None:
    """It leaves the secrets of the built-in configuration, which the next `omnibus up` here uses."""
    asyncio.run(demo(tmp_path, "--count", "3"))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] in ([], ["secrets.json"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--bus", "kafka://127.0.0.1:9092", "--running"), "--bus is for the instance that the demo starts"),
        (("--workers", "2"), "--workers needs --bus"),
    ],
)
async def test_what_does_not_go_together_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """On a cluster it plays in `make demo-kafka`."""
    code, _, err = await demo(tmp_path, *arguments)
    assert code == 2
    assert said in err
