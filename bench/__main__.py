"""Runs every benchmark as a process of its own, prints a table, and writes artifacts/bench.json.

``python -m bench [NAME ...]``; a benchmark is a module here that prints one JSON object when run.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
NOT_BENCHMARKS = {"__init__", "__main__", "installation"}
LIMIT_S = 900


def benchmarks() -> list[str]:
    """The names of all benchmarks."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_BENCHMARKS)


def run(name: str) -> dict[str, Any]:
    """What the benchmark printed. Raises RuntimeError, ValueError or TimeoutExpired when it failed."""
    command = [sys.executable, "-m", f"bench.{name}"]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"bench.{name} failed:\n{done.stderr[-2_000:]}")
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return found


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The figures of a result with their paths."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def main() -> int:
    names = sys.argv[1:] or benchmarks()
    console = Console(highlight=False)
    results: dict[str, Any] = {
        "machine": {
            "cores": os.cpu_count(),
            "load_at_start": [round(load, 2) for load in os.getloadavg()],
            "python": platform.python_version(),
            "system": platform.platform(),
        }
    }
    failed = False
    for name in names:
        console.print(f"measuring {name} ...", style="dim")
        try:
            results[name] = run(name)
        except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
            failed = True
            results[name] = {"failed": str(error)}
    table = Table(title="Omnibus, measured on this machine", title_justify="left", box=None)
    table.add_column("figure", overflow="fold")
    table.add_column("value", overflow="fold", justify="right")
    for section, result in results.items():
        table.add_section()
        for path, value in flat(result):
            table.add_row(f"{section}.{path}", str(value))
    console.print(table)
    target = HERE.parent / "artifacts" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"written to {target.relative_to(HERE.parent)}")
    return int(failed)  # the others' figures are shown all the same


if __name__ == "__main__":
    raise SystemExit(main())
