"""`omnibus demo` on three brokers with two workers of each stage ends with the table of the embedded bus.

Asked for by name (`make demo-kafka`): twelve processes and three brokers take minutes on a small machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from omnibus.testing.kafka import cluster

COUNT = os.environ.get("OMNIBUS_DEMO_COUNT", "120")


async def demo(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "omnibus.cli.main", "demo", "--json", "--count", COUNT, *arguments]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert out, err.decode()
    found: dict[str, Any] = json.loads(out)
    assert found["problems"] == []
    assert process.returncode == 0
    return found


def table(found: dict[str, Any]) -> dict[str, Any]:
    """All that does not depend on how fast the machine is."""
    return {name: value for name, value in found.items() if name not in ("door_to_queue_ms", "seconds")}


@pytest.mark.timeout(1_200)
async def test_three_brokers_and_two_workers_of_each_stage_end_with_the_same_table(tmp_path: Path) -> None:
    embedded = await demo(tmp_path)
    with cluster(3) as running:
        kafka = await demo(tmp_path, "--bus", f"kafka://{','.join(running.addresses)}", "--workers", "2")
    print(json.dumps({"embedded": embedded, "kafka, 3 brokers, 2 workers": kafka}, indent=1))
    assert table(kafka) == table(embedded)
