"""Measures the channel folders and prints JSON: discovering all of them in a new process, mapping one plain text
message of each, and the contract suite of all.

python -m bench.channels [--quick]; `--quick` leaves out the contract suite. All times are CPU times.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from omnibus.channel.declaration import Channel
from omnibus.channel.registry import discover
from omnibus.testing.fixtures import load_fixture

PLAIN_TEXT = {
    "discord": "direct_text",
    "sms_gateway": "kannel_message",
    "twilio": "sms",
    "vonage": "sms",
    "x": "dm_text",
}
"""The fixture with one plain text message, where it is not called `text`."""
ROUNDS, CALLS = 30, 200

DISCOVERY = """
import time
begun = time.process_time()
from omnibus.channel.registry import discover
imported = time.process_time()
found = discover()
print(begun, imported, time.process_time(), len(found.plugins), len(found.broken))
"""


def discovery(runs: int = 9) -> dict[str, float]:
    """CPU milliseconds of new processes: for the registry with the kernel behind it, then for all folders."""
    command = [sys.executable, "-c", DISCOVERY]
    told = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(runs)]
    times = [tuple(float(value) * 1_000 for value in line[:3]) for line in told]
    return {
        "folders": int(told[0][3]),
        "broken": int(told[0][4]),
        "interpreter_ms": round(statistics.median(begun for begun, _, _ in times), 1),
        "kernel_ms": round(statistics.median(imported - begun for begun, imported, _ in times), 1),
        "folders_ms": round(statistics.median(done - imported for _, imported, done in times), 1),
        "together_ms": round(statistics.median(done - begun for begun, _, done in times), 1),
    }


def mapping(channel: Channel) -> float:
    """Median CPU microseconds of mapping one plain text message."""
    file = import_module(channel.package).__file__
    assert file is not None
    fixture = load_fixture(channel, Path(file).parent / "fixtures", PLAIN_TEXT.get(channel.name, "text"))
    raw = fixture.raw(channel)
    for _ in range(CALLS):
        list(channel.map(raw))
    return round(statistics.median(_round(channel, raw) for _ in range(ROUNDS)), 1)


def _round(channel: Channel, raw: Any) -> float:
    begun = time.process_time_ns()
    for _ in range(CALLS):
        list(channel.map(raw))
    return (time.process_time_ns() - begun) / 1_000 / CALLS


def contract() -> dict[str, Any]:
    """The contract suite of all channels as `make test` runs it, but in one process."""
    suite = "tests/connectors/test_contract.py"
    before, begun = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    assert done.returncode == 0, done.stdout[-2_000:]
    return {
        "result": done.stdout.strip().splitlines()[-1].strip("= "),
        "cpu_s": round(sum(after[2:4]) - sum(before[2:4]), 1),
        "wall_s": round(time.perf_counter() - begun, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the contract suite")
    quick = parser.parse_args().quick
    costs = {name: mapping(channel) for name, channel in discover().plugins.items()}
    found: dict[str, Any] = {
        "discovery_cpu": discovery(),
        "mapping_a_text_us": dict(sorted(costs.items(), key=lambda cost: cost[1])),
        "mapping_a_text_median_of_channels_us": statistics.median(costs.values()),
    }
    if not quick:
        found["contract_suite"] = contract()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
